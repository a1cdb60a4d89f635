"""Who and where: people, AWS accounts, account pairs, access profiles, offers, IAM identities."""
