"""What Sallyport costs, in calls and in time, beside what else a person might use.

`python -m bench` runs it; README.md says how to read the figures and how to add one.
"""
