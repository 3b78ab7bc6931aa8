"""A page printed from the dark theme is printed in the light one, which comes back to the screen as it was."""


def test_paper_is_light_whatever_the_screen(browser, html):
    context = browser.new_context(offline=True, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto((html / "book" / "symbols.html").as_uri(), wait_until="load")
    read = "() => [document.documentElement.dataset.theme, getComputedStyle(document.querySelector('article')).color]"
    screen = page.evaluate(read)
    page.evaluate(f"() => addEventListener('beforeprint', () => {{ window.printed = ({read})(); }})")
    page.pdf()
    theme, colour = page.evaluate("window.printed")
    assert screen[0] == "dark" and theme == "light"
    assert max(int(part) for part in colour[4:-1].split(",")) < 100
    assert page.evaluate(read) == screen
    context.close()
