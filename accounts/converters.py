"""What a part of an address may be. Anything else is no address of ours, and is not looked up."""

from django.urls import register_converter
from django.urls.converters import StringConverter


class AccountIdConverter(StringConverter):
    """An account id: twelve digits, ASCII only."""

    regex = "[0-9]{12}"


register_converter(AccountIdConverter, "account_id")
