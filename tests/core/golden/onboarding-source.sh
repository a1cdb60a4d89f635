test "$(aws sts get-caller-identity --region us-east-1 --query Account --output text)" = 222222222222 &&
aws iam create-role \
  --region us-east-1 \
  --role-name SallyportProvisioner \
  --description 'Assumed by Sallyport to make and remove time-limited access under /sallyport/.' \
  --max-session-duration 3600 \
  --assume-role-policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "PortalWithExternalId",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::999999999999:role/SallyportPortal"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "sallyport-0123456789abcdef0123456789abcdef"
        }
      }
    }
  ]
}' &&
aws iam put-role-policy \
  --region us-east-1 \
  --role-name SallyportProvisioner \
  --policy-name SallyportProvisioner \
  --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "ReadIamOverview",
      "Effect": "Allow",
      "Action": [
        "iam:GetAccountAuthorizationDetails",
        "iam:GetAccountSummary",
        "iam:GetGroup",
        "iam:GetRole",
        "iam:GetUser",
        "iam:ListRoles"
      ],
      "Resource": "*"
    },
    {
      "Sid": "ReadOwnRole",
      "Effect": "Allow",
      "Action": [
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies"
      ],
      "Resource": "arn:aws:iam::222222222222:role/SallyportProvisioner"
    },
    {
      "Sid": "ReadManagedPolicies",
      "Effect": "Allow",
      "Action": [
        "iam:GetPolicy",
        "iam:GetPolicyVersion"
      ],
      "Resource": "arn:aws:iam::aws:policy/*"
    },
    {
      "Sid": "FindPeople",
      "Effect": "Allow",
      "Action": [
        "iam:ListGroupsForUser"
      ],
      "Resource": "arn:aws:iam::222222222222:user/*"
    },
    {
      "Sid": "LookAhead",
      "Effect": "Allow",
      "Action": [
        "iam:ListMFADevices",
        "iam:SimulatePrincipalPolicy"
      ],
      "Resource": "arn:aws:iam::222222222222:user/*"
    },
    {
      "Sid": "ManageSwitchGroups",
      "Effect": "Allow",
      "Action": [
        "iam:AddUserToGroup",
        "iam:CreateGroup",
        "iam:DeleteGroup",
        "iam:DeleteGroupPolicy",
        "iam:DetachGroupPolicy",
        "iam:GetGroupPolicy",
        "iam:ListAttachedGroupPolicies",
        "iam:ListGroupPolicies",
        "iam:PutGroupPolicy",
        "iam:RemoveUserFromGroup"
      ],
      "Resource": "arn:aws:iam::222222222222:group/sallyport/*"
    },
    {
      "Sid": "AttachReadingPolicies",
      "Effect": "Allow",
      "Action": [
        "iam:AttachGroupPolicy"
      ],
      "Resource": "arn:aws:iam::222222222222:group/sallyport/*",
      "Condition": {
        "ArnEquals": {
          "iam:PolicyARN": [
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:iam::aws:policy/SecurityAudit",
            "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"
          ]
        }
      }
    },
    {
      "Sid": "KeepBoundaries",
      "Effect": "Deny",
      "Action": [
        "iam:DeleteRolePermissionsBoundary",
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutUserPermissionsBoundary"
      ],
      "Resource": "*"
    },
    {
      "Sid": "KeepBoundaryPolicy",
      "Effect": "Deny",
      "Action": [
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicy",
        "iam:DeletePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:TagPolicy",
        "iam:UntagPolicy"
      ],
      "Resource": "arn:aws:iam::222222222222:policy/SallyportBoundary"
    },
    {
      "Sid": "KeepOwnRole",
      "Effect": "Deny",
      "Action": [
        "iam:AttachRolePolicy",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:TagRole",
        "iam:UntagRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription"
      ],
      "Resource": "arn:aws:iam::222222222222:role/SallyportProvisioner"
    },
    {
      "Sid": "EnterNoRole",
      "Effect": "Deny",
      "Action": [
        "iam:PassRole",
        "sts:AssumeRole"
      ],
      "Resource": "*"
    }
  ]
}'
