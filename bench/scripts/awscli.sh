#!/bin/bash
# What an operator would script with the AWS CLI: one command a step, one grant. It neither looks
# first nor verifies afterwards, and what it gives has no end.
#
# In the environment: SOURCE_ROLE, TARGET_ROLE (provisioner roles), GROUP, IAM_USER, USER_ARN, ROLE.
set -euo pipefail

portal_id=$AWS_ACCESS_KEY_ID portal_secret=$AWS_SECRET_ACCESS_KEY

# As AWS's own documentation shows it.
become() {
    unset AWS_SESSION_TOKEN
    export AWS_ACCESS_KEY_ID=$portal_id AWS_SECRET_ACCESS_KEY=$portal_secret
    read -r id secret token < <(aws sts assume-role --role-arn "$1" --role-session-name cli \
        --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
    export AWS_ACCESS_KEY_ID=$id AWS_SECRET_ACCESS_KEY=$secret AWS_SESSION_TOKEN=$token
}

become "$SOURCE_ROLE"
aws iam add-user-to-group --group-name "$GROUP" --user-name "$IAM_USER"
become "$TARGET_ROLE"
aws iam create-role --path /sallyport/ --role-name "$ROLE" --assume-role-policy-document '{
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": "'"$USER_ARN"'"}, "Action": "sts:AssumeRole"
    }]
}'
aws iam attach-role-policy --role-name "$ROLE" --policy-arn arn:aws:iam::aws:policy/ReadOnlyAccess
