"""The judge of pages judges: what is wrong on a page is found, so that no finding means something."""

from tests.browsing import Visit, findings, overflow

PAGE = '<!DOCTYPE html><html lang="en"><head><title>t</title></head><body><main><h1>t</h1>{}</main></body></html>'


def test_what_is_wrong_is_found(visit: Visit) -> None:
    """Pale text, a field without a name, an image without words; and what sticks out is measured."""
    wrong = '<p style="color:#aaa;background:#fff">pale</p><input><img src="data:,">'
    names = {one.partition(":")[0] for one in findings(visit(PAGE.format(wrong)))}
    assert names == {"color-contrast", "label", "image-alt"}
    assert overflow(visit(PAGE.format('<div style="width:2000px">wide</div>'), width=390)) > 1000
    assert findings(visit(PAGE.format("<p>right</p>"))) == []
