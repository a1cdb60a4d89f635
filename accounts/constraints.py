"""Where in a form a broken database constraint is told, and in which words.

Forms and services check before they write, and the database checks again: two admins may send the
same thing in the same moment. All three answer alike: the message at the field, and the name of
the constraint as the error's code.
"""

from collections.abc import Collection, Iterator
from typing import Final

from django.apps import apps
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models

FIELDS: Final = {
    "account_alias_unique": "alias",
    "account_id_is_12_digits": "account_id",
    "account_id_is_immutable": "account_id",
    "account_name_unique": "name",
    "account_partition_is_known": "partition",
    "identity_iam_user_unique": "user_name",
    "identity_is_in_an_account_in_use": "account",
    "identity_person_unique": "person",
    "identity_removes_only_what_we_created": "user_name",
    "offer_break_glass_is_shorter": "break_glass_longest",
    "offer_duration_within_bounds": "max_duration",
    "offer_rule_has_its_longest": "auto_longest",
    "offer_rule_hours_are_whole": "auto_from",
    "offer_rule_needs_low_sensitivity": "auto_approve",
    "offer_sensitivity_is_known": "sensitivity",
    "offer_usual_duration_within_bounds": "default_duration",
    "offer_wait_within_bounds": "request_lifetime",
    "offer_is_on_a_pair_in_use": "is_active",
    "offer_is_unique": "profile",
    "pair_is_in_one_partition": "target",
    "pair_is_unique": "target",
    "pair_joins_accounts_in_use": "target",
    "pair_source_is_not_target": "target",
    "profile_name_unique": "name",
    "profile_session_within_aws_bounds": "session_duration",
    "profile_tone_is_of_the_palette": "tone",
}
"""Constraints and rules of the registry, and the field that a person would change."""

MESSAGES: Final = {
    "account_id_is_12_digits": "An AWS account id is exactly 12 digits, zeros in front included.",
    "account_id_is_immutable": "The id, the partition and the ExternalId never change.",
    "account_partition_is_known": "Choose one of the partitions.",
    "identity_removed_was_asked_for": "An IAM user is removed only where somebody asked for it.",
    "identity_removes_only_what_we_created": "Only an IAM user that Sallyport created is removed.",
    "identity_is_in_an_account_in_use": "This account was retired.",
    "offer_is_on_a_pair_in_use": "This pair was retired.",
    "pair_joins_accounts_in_use": "One of these accounts was retired.",
    "pair_is_in_one_partition": "Roles cannot be entered across AWS partitions.",
    "profile_session_within_aws_bounds": "A session lasts between 1 and 12 hours.",
    "profile_tone_is_of_the_palette": "Choose one of the colours.",
    "profile_version_unique": "Somebody has just added a version. Look at it, then try again.",
}
"""Words for rules whose model has none."""


class FieldConstraints(models.Model):
    """A model whose broken constraints are told at their fields."""

    class Meta:
        abstract = True

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Raise ValidationError by field; the code of each error is the constraint's name."""
        errors: dict[str, list[ValidationError]] = {}
        for constraint in self._meta.constraints:
            try:
                constraint.validate(type(self), self, exclude=set(exclude or ()))
            except ValidationError:
                field, error = _told(constraint.name)
                errors.setdefault(field, []).append(error)
        if errors:
            raise ValidationError(errors)


def refusal(error: IntegrityError) -> ValidationError | None:
    """What to tell about a constraint that the database has refused; None for an unknown one."""
    text = str(error)
    unique = next((field for field, name in _unique_fields() if name in text), None)
    if unique is not None:
        told = ValidationError(unique.error_messages["unique"], code="unique")
        return ValidationError({unique.name: told})
    names = [name for name in (*FIELDS, *MESSAGES) if name in text]
    names += [one.name for one, columns in _unique_columns() if columns in text]
    if not names:
        return None
    place, words = _told(max(names, key=len))
    return ValidationError({place: words})


def _told(name: str) -> tuple[str, ValidationError]:
    """The field of a constraint, and the error to show there."""
    words = {one.name: one.get_violation_error_message() for _, one in _constraints()}
    message = MESSAGES.get(name) or words[name]
    return FIELDS.get(name, NON_FIELD_ERRORS), ValidationError(message, code=name)


def _models() -> Iterator[type[models.Model]]:
    return apps.get_app_config("accounts").get_models()


def _constraints() -> Iterator[tuple[type[models.Model], models.BaseConstraint]]:
    return ((model, one) for model in _models() for one in model._meta.constraints)


def _unique_columns() -> Iterator[tuple[models.BaseConstraint, str]]:
    """SQLite names a unique constraint on plain fields by its columns."""
    for model, one in _constraints():
        if isinstance(one, models.UniqueConstraint) and one.fields:
            columns = {field.name: field.column for field in model._meta.local_fields}
            table = model._meta.db_table
            yield one, ", ".join(f"{table}.{columns[name]}" for name in one.fields)


def _unique_fields() -> Iterator[tuple["models.Field[object, object]", str]]:
    """`unique=True` on a field: PostgreSQL says `table_column_key`, SQLite `table.column`."""
    for model in _models():
        table = model._meta.db_table
        for field in model._meta.local_fields:
            if field.unique and not field.primary_key:
                yield field, f"{table}_{field.column}_key"
                yield field, f"failed: {table}.{field.column}"
