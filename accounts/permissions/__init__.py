"""What permissions amount to: pure code over documents and AWS's list of actions. No Django.

`catalogue` knows the actions, `knowledge` what the dangerous ones are, `effects` what a document
gives, `managed` what AWS's own policies give, and `lint` says it to people.
"""
