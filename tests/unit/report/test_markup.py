"""Markup is escaped by construction."""

from mmsrec.report.markup import element, joined


def test_text_and_attributes_are_escaped_and_elements_are_not():
    inner = element("b", '1 < 2 & "3"')
    assert inner == '<b>1 &lt; 2 &amp; "3"</b>'
    assert element("p", inner, "<i>", title='"><script>') == (
        f'<p title="&quot;&gt;&lt;script&gt;">{inner}&lt;i&gt;</p>'
    )


def test_attributes_by_their_python_names():
    assert (
        element("th", class_="a", aria_label="b", scope=None, name="c") == '<th class="a" aria-label="b" name="c"></th>'
    )


def test_a_void_element_has_no_end():
    assert joined(element("meta", charset="utf-8"), "x") == '<meta charset="utf-8">x'
