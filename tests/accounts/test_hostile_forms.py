"""Whatever is sent to a form of the registry, the answer is no failure of ours and changes
nothing that the form does not have."""

from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from accounts.forms import (
    AccountChangeForm,
    AccountForm,
    IdentityForm,
    OfferChangeForm,
    OfferForm,
    OffersForm,
    PairForm,
    ProfileForm,
    RegistryForm,
    VersionForm,
)
from accounts.models import Offer, User
from audit.models import AuditEvent
from tests.conftest import ClientFor

HOSTILE: dict[str, Any] = {
    "null character": "a\x00b",
    "number beyond the database's": "99999999999999999999999",
    "negative": "-1",
    "many digits": "9" * 5000,
    "other digits": "\N{ARABIC-INDIC DIGIT ONE}" * 12,
    "not a number": "NaN",
    "JSON": '{"a": [1]}',
    "markup": "<script>alert(1)</script>",
    "SQL": "' OR 1=1 --",
    "template": "{{ request.user.password }}{% debug %}",
    "lone surrogate": "\\ud800",
    "long": "x" * 6_000,
    "several": ["1", "2", "x", "99999999999999999999999"],
    "deep": "[" * 6_000,
    "empty": "",
}


FORMS: dict[str, type[RegistryForm]] = {
    "account-new": AccountForm,
    "account-edit": AccountChangeForm,
    "pair-new": PairForm,
    "profile-new": ProfileForm,
    "version-new": VersionForm,
    "offer-new": OfferForm,
    "offer-edit": OfferChangeForm,
    "offers-on-pairs": OffersForm,
    "identity-new": IdentityForm,
}


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


@pytest.fixture
def forms(offer: Offer) -> dict[str, str]:
    """The address of each form, by name."""
    arguments: dict[str, list[Any]] = {
        "account-edit": [offer.pair.source.account_id],
        "version-new": [offer.profile.pk],
        "offer-edit": [offer.pk],
    }
    return {name: reverse(f"accounts:{name}", args=arguments.get(name)) for name in FORMS}


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_field_of_every_form_answers_to_hostile_values(
    kind: str, admin: Client, forms: dict[str, str]
) -> None:
    for name, url in forms.items():
        everything = dict.fromkeys(FORMS[name]().fields, HOSTILE[kind])
        assert admin.post(url, everything).status_code == 422, name
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("form", FORMS)
def test_no_form_takes_a_field_that_it_does_not_show(form: str) -> None:
    models = apps.get_app_config("accounts").get_models()
    names = {field.name for model in models for field in model._meta.get_fields()}
    for name in names - set(FORMS[form].base_fields):
        errors = FORMS[form]({name: "1"}).errors.as_data()["__all__"]
        assert "unknown_field" in [one.code for one in errors], name


def test_a_form_that_is_too_large_is_refused_unread(admin: Client, forms: dict[str, str]) -> None:
    response = admin.post(forms["profile-new"], {"inline_policy": "x" * 300_000})
    assert response.status_code in {400, 413}
