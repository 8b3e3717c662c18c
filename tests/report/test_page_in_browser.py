"""The page of `bench report` opened from the file system in headless Chromium.

Skipped where there is no Chromium or Chrome with its driver (Debian: chromium-driver).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.page_run import IDS, PRINTED

selenium = pytest.importorskip("selenium", reason="needs selenium: pip install -e '.[dev]'")

from selenium import webdriver  # noqa: E402  (only where it is installed)
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# In a container there is rarely a sandbox, and /dev/shm is small. Scrolling takes no time, so that
# what is clicked lies where it was found.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-prefers-reduced-motion",
)


def started(profile: Path) -> Any:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs Chromium or Chrome and chromedriver, which are not on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, "--window-size=1400,1000", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


@pytest.fixture(scope="module")
def opened(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser = started(tmp_path_factory.mktemp("browser") / "profile")
    try:
        browser.get(page.as_uri())
        yield browser
    finally:
        browser.quit()


def column(browser: Any, table: str, index: int) -> list[str]:
    script = """return [...document.getElementById(arguments[0]).tBodies[0].rows]
        .filter((row) => !row.hidden).map((row) => row.cells[arguments[1]].textContent)"""
    return list(browser.execute_script(script, table, index))


def until(browser: Any, condition: Callable[[Any], Any]) -> Any:
    return WebDriverWait(browser, 20).until(condition)


def loaded(browser: Any) -> None:
    stage = browser.find_element(By.ID, "stage")
    until(browser, lambda _: stage.get_attribute("aria-busy") == "false")


def boxes(browser: Any) -> list[dict[str, float]]:
    """Both images' places relative to their panes, in pixels."""
    script = """return ['a', 'b'].map((side) => {
        const box = document.getElementById(`image-${side}`).getBoundingClientRect();
        const pane = document.querySelector(`.pane.${side}`).getBoundingClientRect();
        return {x: box.x - pane.x, y: box.y - pane.y, width: box.width, pane: pane.width}; })"""
    return list(browser.execute_script(script))


@pytest.fixture
def viewer(opened: Any) -> Any:
    """The page with the viewer in view: first data set, first pair, slider in the middle."""
    opened.execute_script("document.getElementById('viewer').scrollIntoView()")
    until(opened, lambda b: b.execute_script("return document.getElementById('set').value !== ''"))
    until(opened, lambda b: b.find_elements(By.CSS_SELECTOR, "#film button"))
    Select(opened.find_element(By.ID, "side-b")).select_by_value("last")
    Select(opened.find_element(By.ID, "set")).select_by_index(0)
    Select(opened.find_element(By.ID, "order")).select_by_value("set")
    opened.find_element(By.CSS_SELECTOR, "button[data-mode=slider]").click()
    opened.find_element(By.ID, "zoom-reset").click()
    loaded(opened)
    return opened


def test_a_click_on_a_heading_sorts_and_missing_numbers_stay_last(opened: Any) -> None:
    before = column(opened, "fusion-msrs", 1)
    head = opened.find_element(By.CSS_SELECTOR, "#fusion-msrs thead tr:last-child th:nth-child(2)")
    head.find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") == "descending"
    after = column(opened, "fusion-msrs", 1)
    numbers = [float(text.split("[")[0].rstrip("= ")) for text in after[:6]]
    assert numbers == sorted(numbers, reverse=True)
    assert set(after[6:]) == {"no weights", "failed", "not run"}
    head.find_element(By.TAG_NAME, "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    lowest = column(opened, "fusion-msrs", 1)
    assert lowest[:6] == after[:6][::-1] and set(lowest[6:]) == set(after[6:])
    opened.find_element(By.ID, "unsort").click()
    assert column(opened, "fusion-msrs", 1) == before


def test_the_filter_hides_rows_of_every_table_and_says_how_many(opened: Any) -> None:
    field = opened.find_element(By.ID, "filter")
    field.send_keys("dsif, seaf")
    names = {name.rstrip("†") for name in column(opened, "fusion-msrs", 0)}
    assert names == {"SeAFusion", "DSIFuse"}
    assert len(column(opened, "cost", 0)) == 2
    assert opened.find_element(By.ID, "filtered").text == "10 of 48 rows"
    opened.find_element(By.ID, "unsort").click()
    assert len(column(opened, "fusion-msrs", 0)) == 10


def test_intervals_are_shown_on_request(opened: Any) -> None:
    interval = opened.find_element(By.CSS_SELECTOR, "#fusion-msrs .interval")
    assert not interval.is_displayed()
    opened.find_element(By.ID, "intervals").click()
    assert interval.is_displayed()
    opened.find_element(By.ID, "intervals").click()


def test_keys_and_drags_move_the_slider(viewer: Any) -> None:
    stage = viewer.find_element(By.ID, "stage")
    position = viewer.find_element(By.ID, "position")
    clip = "return getComputedStyle(document.querySelector('.pane.a')).clipPath"
    before = viewer.execute_script(clip)
    viewer.execute_script("arguments[0].focus()", stage)
    stage.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert position.get_attribute("value") == "54"
    assert position.get_attribute("aria-valuetext") == "54 % of A"
    assert viewer.execute_script(clip) != before
    position.send_keys(Keys.ARROW_LEFT)
    assert position.get_attribute("value") == "53"
    box = stage.rect
    drag = webdriver.ActionChains(viewer).move_to_element_with_offset(stage, 0, 0).click_and_hold()
    drag.move_by_offset(int(box["width"] / 4), 0).release().perform()
    assert abs(int(position.get_attribute("value")) - 75) <= 1
    divider = viewer.find_element(By.CSS_SELECTOR, ".divider").rect
    assert abs(divider["x"] - box["x"] - 0.75 * box["width"]) < 0.02 * box["width"]


def test_zoom_and_pan_are_the_same_in_both_images(viewer: Any) -> None:
    Select(viewer.find_element(By.ID, "side-b")).select_by_value("average")
    viewer.find_element(By.CSS_SELECTOR, "button[data-mode=side]").click()
    loaded(viewer)
    whole = boxes(viewer)
    assert all(abs(box["width"] - box["pane"]) < 2 for box in whole)
    stage = viewer.find_element(By.ID, "stage")
    viewer.execute_script("arguments[0].focus()", stage)
    stage.send_keys("+", "+", "+")
    zoomed = boxes(viewer)
    stage.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    panned = boxes(viewer)
    for a, b in (zoomed, panned):
        assert a == pytest.approx(b, abs=0.1)
    assert zoomed[0]["width"] / whole[0]["width"] == pytest.approx(1.5**3, rel=0.02)
    assert panned[0]["x"] < zoomed[0]["x"] and panned[0]["y"] < zoomed[0]["y"]
    assert viewer.find_element(By.ID, "zoom-reset").text == "3.4×"


def test_n_and_p_go_through_the_pairs_and_scores_follow(viewer: Any) -> None:
    pair = Select(viewer.find_element(By.ID, "pair"))
    names = sorted(IDS)
    body = viewer.find_element(By.ID, "stage")
    for key, index in (("n", 1), ("n", 2), ("p", 1)):
        body.send_keys(key)
        loaded(viewer)
        assert pair.first_selected_option.text == f"{index + 1}. {names[index]}"
        address = viewer.find_element(By.ID, "image-b").get_attribute("src")
        assert address.startswith("file://") and "/last/fuse/" in address
    assert names[1] == '<script>"x"'
    rows = viewer.find_elements(By.CSS_SELECTOR, "#scores tbody tr")
    texts = [row.text.replace("\n", " ") for row in rows]
    assert any(PRINTED in text and "3.000" in text for text in texts)
    current = viewer.find_element(By.CSS_SELECTOR, "#film [aria-current]")
    assert current.get_attribute("title") == names[1]


def test_the_worst_and_the_most_different_pair_come_first_when_asked(viewer: Any) -> None:
    order = Select(viewer.find_element(By.ID, "order"))
    pair = Select(viewer.find_element(By.ID, "pair"))
    Select(viewer.find_element(By.ID, "set")).select_by_index(1)
    order.select_by_value("worst")
    Select(viewer.find_element(By.ID, "order-method")).select_by_value("odd one&<b>")
    Select(viewer.find_element(By.ID, "order-metric")).select_by_value("EN")
    # Levels of the odd one: 4, 1.5, 2.5, 3.
    assert pair.first_selected_option.text == f"1. {IDS[1]} · 1.500"
    order.select_by_value("apart")
    # Distances to the mean of the others: 2.5, 0.5, 3.5, 0.
    assert pair.first_selected_option.text == f"1. {IDS[2]} · -3.500"
    order.select_by_value("spread")
    assert IDS[2] in pair.first_selected_option.text
    assert [option.text.split(" · ")[0] for option in pair.options][-1] == f"4. {IDS[1]}"


def test_an_image_that_is_missing_says_so(viewer: Any) -> None:
    Select(viewer.find_element(By.ID, "side-b")).select_by_value("last")
    message = viewer.find_element(By.CSS_SELECTOR, ".pane.b .message")
    until(viewer, lambda b: message.is_displayed())
    assert message.text == "no image of this pair"
    # The source outside of the run, a TIFF, is seen as its reduced copy.
    Select(viewer.find_element(By.ID, "set")).select_by_index(1)
    Select(viewer.find_element(By.ID, "side-a")).select_by_value("infrared")
    address = viewer.find_element(By.ID, "image-a").get_attribute("src")
    assert address.startswith("data:image/webp")


def test_a_dot_of_the_chart_opens_its_pair(viewer: Any) -> None:
    chart = viewer.find_element(By.CSS_SELECTOR, "#distribution svg")
    viewer.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    # The last row's largest value, 9, is pair 3 of the first set (sorted by name).
    script = """const dots = document.querySelectorAll('#distribution .dots');
        const box = dots[dots.length - 1].getBoundingClientRect();
        return [box.right, (box.top + box.bottom) / 2]"""
    x, y = viewer.execute_script(script)
    moved = webdriver.ActionChains(viewer)
    moved.w3c_actions.pointer_action.move_to_location(int(x) - 2, int(y))
    moved.click().perform()
    pair = Select(viewer.find_element(By.ID, "pair")).first_selected_option.text
    assert pair.split(". ", 1)[1] == IDS[2]


def test_the_theme_can_be_chosen(opened: Any) -> None:
    button = opened.find_element(By.ID, "theme")
    ground = "return getComputedStyle(document.body).backgroundColor"
    seen = {}
    for _ in range(3):
        button.click()
        seen[button.text.split(": ")[1]] = opened.execute_script(ground)
    assert set(seen) == {"automatic", "light", "dark"} and seen["light"] != seen["dark"]


@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_is_never_wider_than_the_window(opened: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        script = (
            "return [document.documentElement.scrollWidth, document.body.clientWidth, innerWidth]"
        )
        wide, body, window = opened.execute_script(script)
        assert wide == body and window == width
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_left_the_page_and_the_console_is_silent(viewer: Any) -> None:
    assert viewer.execute_script("return document.title") == "demo & <more> · fusion benchmark"
    assert [entry["message"] for entry in viewer.get_log("browser")] == []
    messages = [json.loads(e["message"])["message"] for e in viewer.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["documentURL"].endswith("report.html")
    ]
    assert any(address.endswith("report.html") for address in asked)
    assert any("/last/fuse/" in address for address in asked)
    assert [a[:80] for a in asked if not a.startswith(("file:///", "data:"))] == []
