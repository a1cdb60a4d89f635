"""The stand itself: its clock, and what it does with what a failed case leaves."""

from datetime import timedelta

import pytest

from accounts.models import ConnectionCheck
from audit.clock import database_now
from provisioning.models import Grant
from tests.rig.invariants import check_trails
from tests.rig.stand import Rig, fresh
from tests.rig.web import Form, forms_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def test_time_passes_for_the_defaults_of_columns_and_what_a_case_left_ends_with_an_event(
    rig: Rig,
) -> None:
    left = rig.approved()
    rig.pass_time(timedelta(days=2))
    asked = ConnectionCheck.objects.create(account=rig.cast.pair.target, asked_by="dana")
    asked.refresh_from_db()

    rig.put_back()

    assert abs(asked.asked_at - database_now()) < timedelta(minutes=1)
    assert fresh(left).phase == "ended"
    check_trails(Grant.objects.with_parties())


def test_a_form_is_sent_as_its_page_has_it() -> None:
    page = (
        '<form action="/search/"><input name="q"></form>'
        '<form method="post"><input type="hidden" name="plan" value="f1"><input name="reason">'
        '<input type="checkbox" name="pause"><input type="radio" name="how" value="so">'
        '<input type="radio" name="how" value="or so" checked>'
        '<button name="verdict" value="approved"></button></form><input name="elsewhere">'
    )

    (form,) = forms_of(page)

    names = {"plan", "reason", "pause", "how", "verdict"}
    assert form == Form("", names, {"plan": "f1", "reason": "", "how": "or so"})
    assert form.filled(reason="Yes.") == {"plan": "f1", "reason": "Yes.", "how": "or so"}
    with pytest.raises(AssertionError, match="minutes"):
        form.filled(minutes=5)
