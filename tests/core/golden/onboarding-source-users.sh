test "$(aws sts get-caller-identity --region us-east-1 --query Account --output text)" = 222222222222 &&
aws iam create-policy \
  --region us-east-1 \
  --policy-name SallyportUserBoundary \
  --description 'What no IAM user made by Sallyport may exceed. It grants nothing by itself.' \
  --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "SeeRules",
      "Effect": "Allow",
      "Action": [
        "iam:GetAccountPasswordPolicy",
        "iam:ListVirtualMFADevices",
        "sts:GetCallerIdentity"
      ],
      "Resource": "*"
    },
    {
      "Sid": "KeepOwnPasswordAndMfa",
      "Effect": "Allow",
      "Action": [
        "iam:ChangePassword",
        "iam:EnableMFADevice",
        "iam:GetUser",
        "iam:ListMFADevices",
        "iam:ResyncMFADevice"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/${aws:username}"
    },
    {
      "Sid": "MakeMfaDevice",
      "Effect": "Allow",
      "Action": [
        "iam:CreateVirtualMFADevice"
      ],
      "Resource": "arn:aws:iam::222222222222:mfa/*"
    },
    {
      "Sid": "TakeOffMfaWithMfa",
      "Effect": "Allow",
      "Action": [
        "iam:DeactivateMFADevice"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/${aws:username}",
      "Condition": {
        "Bool": {
          "aws:MultiFactorAuthPresent": "true"
        }
      }
    },
    {
      "Sid": "EnterIssuedRoles",
      "Effect": "Allow",
      "Action": [
        "sts:AssumeRole"
      ],
      "Resource": "arn:aws:iam::*:role/sallyport/*"
    }
  ]
}' &&
aws iam create-policy \
  --region us-east-1 \
  --policy-name SallyportOwnCredentials \
  --description 'Lets IAM users made by Sallyport look after their own password and MFA.' \
  --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "SeeRules",
      "Effect": "Allow",
      "Action": [
        "iam:GetAccountPasswordPolicy",
        "iam:ListVirtualMFADevices",
        "sts:GetCallerIdentity"
      ],
      "Resource": "*"
    },
    {
      "Sid": "KeepOwnPasswordAndMfa",
      "Effect": "Allow",
      "Action": [
        "iam:ChangePassword",
        "iam:EnableMFADevice",
        "iam:GetUser",
        "iam:ListMFADevices",
        "iam:ResyncMFADevice"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/${aws:username}"
    },
    {
      "Sid": "MakeMfaDevice",
      "Effect": "Allow",
      "Action": [
        "iam:CreateVirtualMFADevice"
      ],
      "Resource": "arn:aws:iam::222222222222:mfa/*"
    },
    {
      "Sid": "TakeOffMfaWithMfa",
      "Effect": "Allow",
      "Action": [
        "iam:DeactivateMFADevice"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/${aws:username}",
      "Condition": {
        "Bool": {
          "aws:MultiFactorAuthPresent": "true"
        }
      }
    }
  ]
}' &&
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
    },
    {
      "Sid": "ReadUserPolicies",
      "Effect": "Allow",
      "Action": [
        "iam:GetPolicy",
        "iam:GetPolicyVersion"
      ],
      "Resource": [
        "arn:aws:iam::222222222222:policy/SallyportUserBoundary",
        "arn:aws:iam::222222222222:policy/SallyportOwnCredentials"
      ]
    },
    {
      "Sid": "ReadPasswordPolicy",
      "Effect": "Allow",
      "Action": [
        "iam:GetAccountPasswordPolicy"
      ],
      "Resource": "*"
    },
    {
      "Sid": "CreateBoundedUsers",
      "Effect": "Allow",
      "Action": [
        "iam:CreateUser"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/*",
      "Condition": {
        "StringEquals": {
          "iam:PermissionsBoundary": "arn:aws:iam::222222222222:policy/SallyportUserBoundary"
        }
      }
    },
    {
      "Sid": "AttachOwnCredentials",
      "Effect": "Allow",
      "Action": [
        "iam:AttachUserPolicy"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/*",
      "Condition": {
        "StringEquals": {
          "iam:PermissionsBoundary": "arn:aws:iam::222222222222:policy/SallyportUserBoundary"
        },
        "ArnEquals": {
          "iam:PolicyARN": "arn:aws:iam::222222222222:policy/SallyportOwnCredentials"
        }
      }
    },
    {
      "Sid": "TagUsers",
      "Effect": "Allow",
      "Action": [
        "iam:TagUser"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/*",
      "Condition": {
        "ForAllValues:StringLike": {
          "aws:TagKeys": "sallyport:*"
        }
      }
    },
    {
      "Sid": "SetPasswordsAndRemoveUsers",
      "Effect": "Allow",
      "Action": [
        "iam:CreateLoginProfile",
        "iam:DeactivateMFADevice",
        "iam:DeleteLoginProfile",
        "iam:DeleteUser",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:ListAttachedUserPolicies",
        "iam:ListMFADevices",
        "iam:ListUserPolicies",
        "iam:UpdateLoginProfile"
      ],
      "Resource": "arn:aws:iam::222222222222:user/sallyport/*"
    },
    {
      "Sid": "KeepUserPolicies",
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
      "Resource": [
        "arn:aws:iam::222222222222:policy/SallyportUserBoundary",
        "arn:aws:iam::222222222222:policy/SallyportOwnCredentials"
      ]
    },
    {
      "Sid": "MakeNoKeys",
      "Effect": "Deny",
      "Action": [
        "iam:CreateAccessKey",
        "iam:CreateServiceSpecificCredential",
        "iam:PutUserPolicy",
        "iam:UpdateAccessKey",
        "iam:UpdateUser",
        "iam:UploadSSHPublicKey",
        "iam:UploadSigningCertificate"
      ],
      "Resource": "*"
    }
  ]
}'
