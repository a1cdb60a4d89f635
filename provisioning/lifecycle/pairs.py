"""Pairs and accounts: prepared, and retired once nothing of them is left."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from accounts.models import AccountPair, AwsAccount
from audit.models import append
from provisioning.lifecycle.common import WORKER

PAIR_RETRY = timedelta(minutes=1)
PAIR_ENDING_RETRY = timedelta(seconds=15)


def note_pair(pair: AccountPair, *, began: datetime, now: datetime, error: str = "") -> None:
    """Record whether a pair's switch group is what it should be.

    What an admin changed after the work `began` asks for another look, so that stays asked for.
    """
    asked = AccountPair.objects.filter(pk=pair.pk, next_check_at__lte=began)
    if error:
        asked.update(last_error=error, next_check_at=now + PAIR_RETRY)
        return
    with transaction.atomic():
        if asked.update(prepared_at=now, next_check_at=None, last_error="") == 1:
            append(
                kind="pair:prepared",
                actor=WORKER,
                subject=pair.subject,
                sentence=f"The switch group {pair.switch_group} of {pair} is as it should be.",
            )


def postpone_pair(pair: AccountPair, now: datetime) -> None:
    """Look again at a pair that is being retired, when its last grants have had time to end."""
    AccountPair.objects.filter(pk=pair.pk, retired_at=None).update(
        next_check_at=now + PAIR_ENDING_RETRY
    )


@transaction.atomic
def note_retired(pair: AccountPair, *, now: datetime, remark: str) -> None:
    """Record that nothing of a pair is left in AWS; and of an account, with its last pair."""
    retiring = AccountPair.objects.filter(pk=pair.pk, retiring_at__isnull=False, retired_at=None)
    if retiring.update(retired_at=now, next_check_at=None, last_error="") != 1:
        return
    append(
        kind="pair:retired",
        actor=WORKER,
        subject=pair.subject,
        sentence=f"The pair {pair} is retired: nothing of it is left in AWS.",
        reason=remark,
    )
    for account in (pair.source, pair.target):
        note_account_retired(account, now)


def note_account_retired(account: AwsAccount, now: datetime) -> None:
    """Record that an account that is being retired is in no pair any more, if that is so."""
    pairs = AccountPair.objects.filter(retired_at=None)
    if pairs.filter(Q(source=account) | Q(target=account)).exists():
        return
    retiring = AwsAccount.objects.filter(pk=account.pk, retiring_at__isnull=False, retired_at=None)
    with transaction.atomic():
        if retiring.update(retired_at=now) == 1:
            append(
                kind="account:retired",
                actor=WORKER,
                subject=account.subject,
                sentence=f"{account} is retired: Sallyport has nothing in it any more.",
            )
