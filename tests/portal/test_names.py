"""Long names go on in the next line where a reader would part them."""

import pytest

from portal.templatetags.names import FITS, breakable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("SecurityReadOnlyRole", "SecurityReadOnlyRole"),
        ("SecurityReadOnlyRoleX1", "Security<wbr>Read<wbr>Only<wbr>Role<wbr>X1"),
        ("production-eu-central-1", "production-<wbr>eu-<wbr>central-<wbr>1"),
        (
            "arn:aws:iam::1:role/IAMReader",
            "arn:<wbr>aws:<wbr>iam::<wbr>1:<wbr>role/<wbr>IAM<wbr>Reader",
        ),
        (
            "The AuditorsReadOnlyArchive",
            "The Auditors<wbr>Read<wbr>Only<wbr>Archive",
        ),
        ("maximiliane.w@example.com", "maximiliane.<wbr>w@<wbr>example.<wbr>com"),
    ],
)
def test_a_long_word_may_be_parted_where_a_reader_would(name: str, shown: str) -> None:
    assert breakable(name) == shown


def test_what_fits_everywhere_stays_whole() -> None:
    assert breakable("aB" * (FITS // 2)) == "aB" * (FITS // 2)


@pytest.mark.parametrize("name", ["<b>&", "<script>alertTheReaderOfThisPage</script>", "a<b " * 9])
def test_every_part_of_a_name_is_escaped(name: str) -> None:
    shown = breakable(name).replace("<wbr>", "")
    assert "<" not in shown
    assert shown == name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
