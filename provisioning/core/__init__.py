"""Pure functions: every name, document, plan and state. No Django, no boto3, no clock."""
