"""Links into the console, parsed again as the console would."""

from urllib.parse import parse_qs, urlsplit

import pytest

from provisioning.core.console import SwitchRole, sign_in_url, switch_role_url

LINK = SwitchRole(
    partition="aws",
    account_id="012345678901",
    role_name="SecurityReadOnlyRole-a+b=c,d.e@f_g-h-k3v9m2x7q4ab",
    display_name="Security read only @ Work load & more",
    colour="B7CA9D",
)


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "signin.aws.amazon.com"),
        ("aws-us-gov", "signin.amazonaws-us-gov.com"),
        ("aws-cn", "signin.amazonaws.cn"),
        ("aws-eusc", "signin.amazonaws-eusc.eu"),
    ],
)
def test_switch_role_link_of_each_partition(partition: str, host: str) -> None:
    link = SwitchRole(partition, LINK.account_id, LINK.role_name, LINK.display_name, LINK.colour)

    url = urlsplit(switch_role_url(link))

    assert (url.scheme, url.netloc, url.path, url.fragment) == ("https", host, "/switchrole", "")
    assert parse_qs(url.query, strict_parsing=True) == {
        "account": ["012345678901"],
        "roleName": ["sallyport/SecurityReadOnlyRole-a+b=c,d.e@f_g-h-k3v9m2x7q4ab"],
        "displayName": ["Security read only @ Work load & more"],
        "color": ["B7CA9D"],
    }


def test_every_sign_that_could_be_misread_is_encoded() -> None:
    query = urlsplit(switch_role_url(LINK)).query

    assert "roleName=sallyport%2FSecurityReadOnlyRole-a%2Bb%3Dc%2Cd.e%40f_g-h-k3v9m2x7q4ab" in query
    assert "displayName=Security%20read%20only%20%40%20Work%20load%20%26%20more" in query
    assert "+" not in query


def test_display_name_is_cut_to_what_consoles_show() -> None:
    link = SwitchRole("aws", LINK.account_id, "role", "x" * 70, "B7CA9D")

    assert f"displayName={'x' * 64}&" in switch_role_url(link)


@pytest.mark.parametrize(
    ("partition", "url"),
    [
        ("aws", "https://012345678901.signin.aws.amazon.com/console"),
        ("aws-us-gov", "https://012345678901.signin.amazonaws-us-gov.com/console"),
        ("aws-cn", "https://012345678901.signin.amazonaws.cn/console"),
    ],
)
def test_sign_in_link_of_each_partition(partition: str, url: str) -> None:
    assert sign_in_url(partition=partition, account_id="012345678901") == url


def test_what_stands_for_the_console_replaces_the_host_and_nothing_else() -> None:
    url = switch_role_url(LINK, base="http://127.0.0.1:8000/sandbox/console")

    assert url.startswith("http://127.0.0.1:8000/sandbox/console/switchrole?account=012345678901&")
    assert url.partition("?")[2] == switch_role_url(LINK).partition("?")[2]
