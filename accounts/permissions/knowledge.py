"""What is known about dangerous actions. AWS's access levels tell reading from writing; they do not
tell settings from data, nor what leads to more permissions. These tables do, and they cannot be
complete: where one is not sure, it says too much rather than too little.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from accounts.permissions import catalogue
from accounts.permissions.catalogue import Level

# --- Reading ---------------------------------------------------------------------------------

DATA: Final = (
    "appsync:GraphQL",
    "athena:GetQueryResults*",
    "athena:StartQueryExecution",
    "cassandra:Select*",
    "chime:GetChannelMessage",
    "chime:ListChannelMessages",
    "cloudtrail:GetQueryResults",
    "codeartifact:GetPackageVersionAsset",
    "codeartifact:ReadFromRepository",
    "codecommit:BatchGetCommits",
    "codecommit:GetBlob",
    "codecommit:GetDifferences",
    "codecommit:GetFile",
    "codecommit:GetFolder",
    "codecommit:GitPull",
    "cognito-identity:GetCredentialsForIdentity",
    "cognito-identity:GetOpenIdToken*",
    "cognito-idp:AdminGetUser",
    "cognito-sync:ListRecords",
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:GetRecords",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
    "dynamodb:Scan",
    "ebs:GetSnapshotBlock",
    "ec2:GetConsoleOutput",
    "ec2:GetConsoleScreenshot",
    "ec2:GetPasswordData",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "es:ESHttpGet",
    "es:ESHttpPost",
    "execute-api:Invoke",
    "gamelift:GetComputeAuthToken",
    "gamelift:GetInstanceAccess",
    "gamelift:RequestUploadCredentials",
    "glacier:GetJobOutput",
    "glue:GetEntityRecords",
    "healthlake:Read*",
    "healthlake:Search*",
    "iotanalytics:SampleChannelData",
    "kinesis:GetRecords",
    "kinesis:SubscribeToShard",
    "kinesisvideo:Get*Media*",
    "kinesisvideo:GetClip",
    "kinesisvideo:GetImages",
    "kms:Decrypt",
    "kms:ReEncryptFrom",
    "lakeformation:GetDataAccess",
    "lakeformation:GetWorkUnitResults",
    "lambda:GetFunction",
    "lambda:GetLayerVersion",
    "lambda:InvokeFunction",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "logs:GetLogRecord",
    "logs:GetQueryResults",
    "logs:StartLiveTail",
    "logs:StartQuery",
    "logs:Unmask",
    "macie2:GetSensitiveDataOccurrences",
    "neptune-db:*Read*",
    "neptune-db:GetStreamRecords",
    "neptune-graph:ReadDataViaQuery",
    "polly:GetSpeechSynthesisTask",
    "qldb:PartiQLSelect",
    "quicksight:GetDashboardEmbedUrl",
    "quicksight:GetSessionEmbedUrl",
    "rds-data:BatchExecuteStatement",
    "rds-data:ExecuteS*",
    "rds:Download*",
    "redshift-data:BatchExecuteStatement",
    "redshift-data:ExecuteStatement",
    "redshift-data:GetStatementResult*",
    "redshift:FetchResults",
    "s3-object-lambda:GetObject",
    "s3-object-lambda:GetObjectVersion",
    "s3-outposts:GetObject",
    "s3-outposts:GetObjectVersion",
    "s3:GetDataAccess",
    "s3:GetObject",
    "s3:GetObjectTorrent",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTorrent",
    "s3express:CreateSession",
    "s3tables:GetTableData",
    "sdb:Select",
    "ses:GetArchiveMessage*",
    "sqs:ReceiveMessage",
    "ssm:GetAccessToken",
    "ssm:GetCommandInvocation",
    "ssm:GetInventory*",
    "ssm:GetParameter",
    "ssm:GetParameterHistory",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "states:GetExecutionHistory",
    "states:RevealSecrets",
    "storagegateway:DescribeChapCredentials",
    "support:DescribeCommunications",
    "support:DownloadAttachment",
    "textract:Get*",
    "timestream:Select",
    "transcribe:Get*Job",
    "workdocs:Download*",
    "workdocs:GetDocument*",
    "workmailmessageflow:GetRawMessageContent",
    "xray:BatchGetTraces",
)
"""Actions that hand out what people and programs have stored, or let code answer with it."""

DATA_NAMES: Final = re.compile(
    r"(?:Batch)?(?:Get|Download|Receive|Read|Query|Scan|Search|Fetch|Select|Retrieve)\w*"
    r"(?:Attachments?|Blobs?|Contents?|Items?|Messages?|Objects?|Records?|Results?|Rows?|"
    r"Transcripts?|Utterances|Conversations?)"
)
"""Names of reading actions that sound like data, for the services that nobody has looked at."""

SETTINGS_NAMES: Final = re.compile(
    r"cloudwatch:.*|(?:datapipeline|ec2|elasticloadbalancing|globalaccelerator|networkmanager|securityhub):.*"
    r"|[a-z-]+:(?:GetOps|GetIpam|GetInsight|GetRegistryRecord|GetNetwork|GetConnectAttach)\w*"
    r"|[a-z-]+:\w*(?:FindingsReport|ScanResults|ComplianceItems|CheckResults?|HookResults?"
    r"|VpcAttachment|AnalysisReportResults|RegistryRecords?|TestResults?)"
)
"""What sounds like data and is settings, metrics or reports about them."""

CREDENTIALS: Final = (
    "acm:ExportCertificate",
    "bedrock-agentcore:GetWorkloadAccessToken*",
    "datazone:Get*Credentials",
    "elasticmapreduce:GetClusterSessionCredentials",
    "emr-containers:GetManagedEndpointSessionCredentials",
    "lakeformation:GetTemporary*Credentials",
    "lightsail:DownloadDefaultKeyPair",
    "lightsail:GetInstanceAccessDetails",
    "lightsail:GetRelationalDatabaseMasterUserPassword",
    "rds-db:connect",
    "redshift-serverless:GetCredentials",
    "redshift:GetClusterCredentials*",
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:GetSecretValue",
)
"""Actions that answer with a password, a key or a token, which goes on working after the end."""

LOOSE_SETTINGS: Final = (
    "apigateway:GET",
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "codebuild:BatchGetProjects",
    "cognito-idp:ListUsers*",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeLaunchTemplateVersions",
    "ecs:DescribeTaskDefinition",
    "elasticbeanstalk:DescribeConfigurationSettings",
    "glue:GetConnection*",
    "glue:GetJob",
    "glue:GetJobs",
    "lambda:GetFunctionConfiguration",
    "lambda:ListFunctions",
    "redshift:ViewQueriesInConsole",
    "sagemaker:DescribeNotebookInstanceLifecycleConfig",
    "ssm:GetDocument",
    "states:DescribeExecution",
)
"""Settings that often hold more than settings: passwords in environment variables, user data and
templates [AWS-FACTS 13.2], personal data in lists of users."""

NOT_A_CHANGE: Final = frozenset(
    {
        "athena:StartQueryExecution",
        "cassandra:Select",
        "execute-api:Invoke",
        "kms:Decrypt",
        "kms:ReEncryptFrom",
        "rds-db:connect",
        "s3express:CreateSession",
        "sts:DecodeAuthorizationMessage",
    }
)
"""AWS's level is Write, and reading is what they are for."""
READING_NAMES: Final = re.compile(r"(?:BatchGet|Describe|Get|List)[A-Z]\w*")
"""AWS also calls some of these writing, or managing permissions, because they read a policy."""

# --- Identity services and our boundary ------------------------------------------------------

IDENTITY_SERVICES: Final = (
    "account",
    "account-access",
    "iam",
    "identity-sync",
    "identitystore",
    "identitystore-auth",
    "organizations",
    "rolesanywhere",
    "sso",
    "sso-directory",
    "sso-oauth",
    "sts",
)
IDENTITY_READS: Final = (
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
    "sts:GetCallerIdentity",
)
DENIED_BY_BOUNDARY: Final = (
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
    "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
    "ec2-instance-connect:Send*",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyLaunchTemplate",
    "ecs:ExecuteCommand",
    "glue:UpdateDevEndpoint",
    "glue:UpdateJob",
    "iam:PassRole",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "sagemaker:CreateNotebookInstanceLifecycleConfig",
    "sagemaker:CreatePresigned*Url",
    "sagemaker:UpdateNotebookInstance*",
    "signin:Delete*",
    "signin:Put*",
    "ssm:CreateAssociation*",
    "ssm:ResumeSession",
    "ssm:SendCommand",
    "ssm:StartAutomationExecution",
    "ssm:StartSession",
    "ssm:UpdateAssociation",
    "sts:Assume*",
    "sts:GetDelegatedAccessToken",
    "sts:GetFederationToken",
    "sts:GetWebIdentityToken",
)
"""The boundary of Sallyport's template, once more: this app may not import provisioning.core.
A test compares it with `onboarding.boundary_policy`."""


# --- Escalation ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Escalation:
    """A published way from some permissions to more. Every group needs one of its actions."""

    key: str
    needs: tuple[tuple[str, ...], ...]
    sentence: str

    def opened_by(self, actions: frozenset[str]) -> bool:
        """Whether these actions are enough."""
        return all(any(one in actions for one in group) for group in self.needs)


def _alone(key: str, sentence: str, *actions: str) -> Escalation:
    return Escalation(key, (actions,), sentence)


def _pass_role(key: str, what: str, *actions: str) -> Escalation:
    sentence = f"iam:PassRole with {actions[0]} runs code as any role that {what} can be given."
    return Escalation(f"pass-role-{key}", (("iam:PassRole",), actions), sentence)


ESCALATIONS: Final = (
    _alone(
        "policy-version",
        "A new or another default version of a policy changes what everybody with it may do.",
        "iam:CreatePolicyVersion",
        "iam:SetDefaultPolicyVersion",
    ),
    _alone(
        "access-key",
        "An access key or password for another IAM user is a lasting way to be that user.",
        "iam:CreateAccessKey",
        "iam:CreateLoginProfile",
        "iam:UpdateLoginProfile",
        "iam:CreateServiceSpecificCredential",
        "iam:ResetServiceSpecificCredential",
        "iam:UploadSigningCertificate",
        "iam:UploadSSHPublicKey",
    ),
    _alone(
        "attach-policy",
        "Attaching or writing a policy gives any permission to any identity.",
        "iam:AttachGroupPolicy",
        "iam:AttachRolePolicy",
        "iam:AttachUserPolicy",
        "iam:PutGroupPolicy",
        "iam:PutRolePolicy",
        "iam:PutUserPolicy",
    ),
    _alone(
        "group", "Adding users to groups gives them what the groups have.", "iam:AddUserToGroup"
    ),
    _alone(
        "boundary",
        "Removing or changing a permissions boundary lifts the limit of a user or role.",
        "iam:DeleteRolePermissionsBoundary",
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutRolePermissionsBoundary",
        "iam:PutUserPermissionsBoundary",
    ),
    _alone(
        "trust",
        "Changing who may assume a role is enough to enter it, in the same account even without "
        "sts:AssumeRole.",
        "iam:UpdateAssumeRolePolicy",
    ),
    _alone(
        "mfa",
        "Another user's MFA device can be taken away or replaced.",
        "iam:DeactivateMFADevice",
        "iam:ResyncMFADevice",
    ),
    _alone(
        "federation",
        "An identity provider of one's own lets its users into the roles that trust it.",
        "iam:CreateSAMLProvider",
        "iam:UpdateSAMLProvider",
        "iam:CreateOpenIDConnectProvider",
        "iam:AddClientIDToOpenIDConnectProvider",
        "iam:UpdateOpenIDConnectProviderThumbprint",
        "rolesanywhere:CreateTrustAnchor",
        "rolesanywhere:UpdateTrustAnchor",
    ),
    _alone(
        "identity-center",
        "Assignments and permission sets of Identity Center reach other accounts.",
        "sso:CreateAccountAssignment",
        "sso:AttachManagedPolicyToPermissionSet",
        "sso:PutInlinePolicyToPermissionSet",
        "sso:UpdatePermissionSet",
        "identitystore:CreateGroupMembership",
    ),
    _alone(
        "other-role",
        "Assuming other roles leads out of this one, also into other accounts.",
        "sts:AssumeRole",
        "sts:AssumeRoot",
        "sts:GetFederationToken",
        "signin:CreateOAuth2Token",
    ),
    _pass_role(
        "ec2",
        "machines",
        "ec2:RunInstances",
        "ec2:AssociateIamInstanceProfile",
        "ec2:ReplaceIamInstanceProfileAssociation",
        "ec2:RequestSpotInstances",
        "autoscaling:CreateLaunchConfiguration",
        "autoscaling:CreateAutoScalingGroup",
    ),
    _pass_role(
        "lambda", "functions", "lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"
    ),
    _pass_role(
        "cloudformation",
        "stacks",
        "cloudformation:CreateStack",
        "cloudformation:UpdateStack",
        "cloudformation:CreateChangeSet",
        "cloudformation:CreateStackSet",
        "cloudformation:UpdateStackSet",
    ),
    _pass_role(
        "glue",
        "Glue",
        "glue:CreateDevEndpoint",
        "glue:CreateJob",
        "glue:UpdateJob",
        "glue:CreateSession",
    ),
    _pass_role("codebuild", "builds", "codebuild:CreateProject", "codebuild:UpdateProject"),
    _pass_role(
        "ecs",
        "tasks",
        "ecs:RunTask",
        "ecs:StartTask",
        "ecs:CreateService",
        "ecs:UpdateService",
        "ecs:RegisterTaskDefinition",
    ),
    _pass_role("batch", "batch jobs", "batch:RegisterJobDefinition", "batch:SubmitJob"),
    _pass_role(
        "sagemaker",
        "SageMaker",
        "sagemaker:CreateNotebookInstance",
        "sagemaker:CreateProcessingJob",
        "sagemaker:CreateTrainingJob",
        "sagemaker:CreateDomain",
        "sagemaker:CreateUserProfile",
    ),
    _pass_role(
        "datapipeline",
        "pipelines",
        "datapipeline:CreatePipeline",
        "datapipeline:PutPipelineDefinition",
    ),
    _pass_role("apprunner", "App Runner", "apprunner:CreateService", "apprunner:UpdateService"),
    _pass_role(
        "agents",
        "agents",
        "bedrock-agentcore:CreateCodeInterpreter",
        "bedrock-agentcore:CreateAgentRuntime",
        "bedrock:CreateAgent",
    ),
    _pass_role(
        "states", "state machines", "states:CreateStateMachine", "states:UpdateStateMachine"
    ),
    _pass_role("schedule", "schedules", "scheduler:CreateSchedule", "events:PutTargets"),
    _pass_role(
        "ssm",
        "automations",
        "ssm:StartAutomationExecution",
        "ssm:CreateActivation",
        "ssm:UpdateManagedInstanceRole",
    ),
    _pass_role(
        "emr",
        "clusters",
        "elasticmapreduce:RunJobFlow",
        "emr-serverless:StartJobRun",
        "emr-containers:StartJobRun",
    ),
    _pass_role(
        "codepipeline",
        "pipelines",
        "codepipeline:CreatePipeline",
        "codepipeline:UpdatePipeline",
        "codedeploy:CreateDeploymentGroup",
    ),
    _pass_role(
        "other",
        "other services",
        "cognito-identity:SetIdentityPoolRoles",
        "codestar:CreateProject",
        "imagebuilder:CreateInfrastructureConfiguration",
        "gamelift:CreateBuild",
        "airflow:CreateEnvironment",
        "greengrass:AssociateServiceRoleToAccount",
        "transfer:CreateUser",
        "iot:CreateRoleAlias",
        "iot:UpdateRoleAlias",
        "synthetics:CreateCanary",
        "eks:CreatePodIdentityAssociation",
        "eks:UpdatePodIdentityAssociation",
        "kinesisanalytics:CreateApplication",
        "dms:CreateEndpoint",
    ),
    _alone(
        "run-in-function",
        "New code in a function that exists runs with that function's role.",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
    ),
    _alone(
        "run-on-machine",
        "A command or a shell on a machine acts with that machine's role.",
        "ssm:SendCommand",
        "ssm:StartSession",
        "ssm:ResumeSession",
        "ssm:StartAutomationExecution",
        "ssm:CreateAssociation",
        "ssm:UpdateAssociation",
        "ec2-instance-connect:SendSSHPublicKey",
        "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
        "ec2:ModifyInstanceAttribute",
        "ecs:ExecuteCommand",
    ),
    _alone(
        "run-in-stack",
        "A changed stack acts with the role that the stack was given.",
        "cloudformation:UpdateStack",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:UpdateStackSet",
        "cloudformation:UpdateStackInstances",
    ),
    _alone(
        "run-in-build",
        "A build or job that exists runs one's own commands with its role.",
        "codebuild:StartBuild",
        "codebuild:StartBuildBatch",
        "codebuild:UpdateProject",
        "glue:UpdateDevEndpoint",
        "glue:UpdateJob",
        "apprunner:UpdateService",
        "states:UpdateStateMachine",
    ),
    _alone(
        "run-in-notebook",
        "A notebook or interpreter that exists opens with its role.",
        "sagemaker:CreatePresignedNotebookInstanceUrl",
        "sagemaker:CreatePresignedDomainUrl",
        "sagemaker:UpdateNotebookInstance",
        "sagemaker:UpdateNotebookInstanceLifecycleConfig",
        "bedrock-agentcore:InvokeCodeInterpreter",
        "bedrock-agentcore:StartCodeInterpreterSession",
    ),
    _alone(
        "launch-template",
        "A changed launch template decides what machines started later run, with their role.",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:ModifyLaunchTemplate",
    ),
    _alone(
        "cluster-access",
        "An access entry makes somebody an administrator of a Kubernetes cluster.",
        "eks:AssociateAccessPolicy",
        "eks:CreateAccessEntry",
        "eks:UpdateAccessEntry",
    ),
)
"""Published paths [AWS-FACTS 6.10, 6.11]: Rhino Security Labs, DataDog pathfinding.cloud."""


# --- Questions -------------------------------------------------------------------------------


@cache
def named(table: tuple[str, ...]) -> frozenset[str]:
    """The known actions that a table's patterns cover."""
    return frozenset().union(*(catalogue.covered(one) for one in table))


@cache
def credentials() -> frozenset[str]:
    """Actions that answer with a credential."""
    return named(CREDENTIALS)


@cache
def data() -> frozenset[str]:
    """Actions that read what is stored, credentials included."""
    reading = {Level.LIST, Level.READ}
    by_name = frozenset(
        action
        for action, level in catalogue.everything().items()
        if level in reading
        and DATA_NAMES.fullmatch(action.partition(":")[2])
        and not SETTINGS_NAMES.fullmatch(action)
    )
    return by_name | named(DATA) | credentials()


@cache
def loose_settings() -> frozenset[str]:
    """Actions that show settings where passwords tend to stand."""
    return named(LOOSE_SETTINGS)


@cache
def identity_changes() -> frozenset[str]:
    """Everything of the identity services but reading."""
    return named(tuple(f"{one}:*" for one in IDENTITY_SERVICES)) - named(IDENTITY_READS)


@cache
def forbidden_by_boundary() -> frozenset[str]:
    """What the boundary of Sallyport's template takes away from every issued role."""
    return identity_changes() | named(DENIED_BY_BOUNDARY)


@cache
def ingredients() -> frozenset[str]:
    """Every action that some escalation needs."""
    every = {one for path in ESCALATIONS for group in path.needs for one in group}
    return frozenset(every)
