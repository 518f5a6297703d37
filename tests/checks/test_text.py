"""Cases of the text's checks beyond one good and one bad example."""

from .subjects import found, with_checks, written


def test_house_names_are_spelt_so_and_no_other_way() -> None:
    config = with_checks(names=("L’Oréal", "WeChat", "Xiaohongshu"))
    text = "At Loreal, and on Wechat and on the Xiaohongsu of last year; L'Oréal and WECHAT, and xiaohongshu.com."
    told = {
        finding.message.split(" is spelt ")[0] for finding in found(written(text, config=config), "text.name-spelling")
    }
    assert told == {"'Loreal'", "'Wechat'", "'Xiaohongsu'"}
