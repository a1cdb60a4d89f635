test "$(aws sts get-caller-identity --region us-east-1 --query Account --output text)" = 222222222222 &&
aws iam create-policy \
  --region us-east-1 \
  --policy-name SallyportBoundary \
  --description 'What no role made by Sallyport may exceed. It grants nothing by itself.' \
  --policy-document '{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "UseServices",
      "Effect": "Allow",
      "NotAction": [
        "account:*",
        "account-access:*",
        "iam:*",
        "identity-sync:*",
        "identitystore:*",
        "identitystore-auth:*",
        "organizations:*",
        "rolesanywhere:*",
        "sso:*",
        "sso-directory:*",
        "sso-oauth:*",
        "sts:*"
      ],
      "Resource": "*"
    },
    {
      "Sid": "ReadIdentities",
      "Effect": "Allow",
      "Action": [
        "account:Get*",
        "account:List*",
        "account-access:Get*",
        "account-access:List*",
        "iam:Generate*",
        "iam:Get*",
        "iam:List*",
        "iam:Simulate*",
        "identity-sync:Get*",
        "identity-sync:List*",
        "identitystore:Describe*",
        "identitystore:Get*",
        "identitystore:IsMemberInGroups",
        "identitystore:List*",
        "identitystore-auth:BatchGet*",
        "identitystore-auth:List*",
        "organizations:Describe*",
        "organizations:List*",
        "rolesanywhere:Get*",
        "rolesanywhere:List*",
        "sso:Describe*",
        "sso:Get*",
        "sso:List*",
        "sso:Search*",
        "sso-directory:Describe*",
        "sso-directory:Get*",
        "sso-directory:IsMemberIn*",
        "sso-directory:List*",
        "sso-directory:Search*",
        "sts:DecodeAuthorizationMessage",
        "sts:GetAccessKeyInfo",
        "sts:GetCallerIdentity"
      ],
      "Resource": "*"
    },
    {
      "Sid": "StayYourself",
      "Effect": "Deny",
      "Action": [
        "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
        "iam:PassRole",
        "signin:Delete*",
        "signin:Put*",
        "sts:Assume*",
        "sts:GetDelegatedAccessToken",
        "sts:GetFederationToken",
        "sts:GetWebIdentityToken"
      ],
      "Resource": "*"
    },
    {
      "Sid": "BorrowNoRole",
      "Effect": "Deny",
      "Action": [
        "apprunner:UpdateService",
        "bedrock-agentcore:InvokeCodeInterpreter",
        "bedrock-agentcore:StartCodeInterpreterSession",
        "cloudformation:CreateChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:UpdateStack",
        "cloudformation:UpdateStackInstances",
        "cloudformation:UpdateStackSet",
        "codebuild:StartBuild",
        "codebuild:StartBuildBatch",
        "codebuild:UpdateProject",
        "ec2-instance-connect:Send*",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyLaunchTemplate",
        "ecs:ExecuteCommand",
        "glue:UpdateDevEndpoint",
        "glue:UpdateJob",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
        "sagemaker:CreateNotebookInstanceLifecycleConfig",
        "sagemaker:CreatePresigned*Url",
        "sagemaker:UpdateNotebookInstance*",
        "ssm:CreateAssociation*",
        "ssm:ResumeSession",
        "ssm:SendCommand",
        "ssm:StartAutomationExecution",
        "ssm:StartSession",
        "ssm:UpdateAssociation"
      ],
      "Resource": "*"
    },
    {
      "Sid": "LeaveSallyportAlone",
      "Effect": "Deny",
      "Action": [
        "iam:Add*",
        "iam:Attach*",
        "iam:Create*",
        "iam:Delete*",
        "iam:Detach*",
        "iam:Put*",
        "iam:Remove*",
        "iam:Set*",
        "iam:Tag*",
        "iam:Untag*",
        "iam:Update*"
      ],
      "Resource": [
        "arn:aws:iam::222222222222:role/sallyport/*",
        "arn:aws:iam::222222222222:group/sallyport/*",
        "arn:aws:iam::222222222222:role/SallyportProvisioner",
        "arn:aws:iam::222222222222:policy/SallyportBoundary"
      ]
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
      "Sid": "ReadBoundary",
      "Effect": "Allow",
      "Action": [
        "iam:GetPolicy",
        "iam:GetPolicyVersion"
      ],
      "Resource": "arn:aws:iam::222222222222:policy/SallyportBoundary"
    },
    {
      "Sid": "WriteBoundedRoles",
      "Effect": "Allow",
      "Action": [
        "iam:CreateRole",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole"
      ],
      "Resource": "arn:aws:iam::222222222222:role/sallyport/*",
      "Condition": {
        "StringEquals": {
          "iam:PermissionsBoundary": "arn:aws:iam::222222222222:policy/SallyportBoundary"
        }
      }
    },
    {
      "Sid": "AttachAwsPolicies",
      "Effect": "Allow",
      "Action": [
        "iam:AttachRolePolicy"
      ],
      "Resource": "arn:aws:iam::222222222222:role/sallyport/*",
      "Condition": {
        "StringEquals": {
          "iam:PermissionsBoundary": "arn:aws:iam::222222222222:policy/SallyportBoundary"
        },
        "ArnLike": {
          "iam:PolicyARN": "arn:aws:iam::aws:policy/*"
        }
      }
    },
    {
      "Sid": "TagRoles",
      "Effect": "Allow",
      "Action": [
        "iam:TagRole"
      ],
      "Resource": "arn:aws:iam::222222222222:role/sallyport/*",
      "Condition": {
        "ForAllValues:StringLike": {
          "aws:TagKeys": "sallyport:*"
        }
      }
    },
    {
      "Sid": "ReadAndRemoveRoles",
      "Effect": "Allow",
      "Action": [
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies"
      ],
      "Resource": "arn:aws:iam::222222222222:role/sallyport/*"
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
