"""The page in Debian's Chromium: what a person sees and can do."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from fer_edge.runtime.recognizer import Recognizer
from tests.serve.conftest import Running, StartServer, wait_until
from tests.serve.fake_camera import FakeCamera
from tests.serve.fake_recognizer import HeldRecognizer
from tests.support.files import EXAMPLE
from tests.support.web_pages import (
    DESKTOP,
    PHONE,
    TIMEOUT,
    check_with_axe,
    choose_image,
    open_chromium,
    overflow,
    sync_api,
)

videos = pytest.importorskip("tests.support.videos", reason="av isn't installed")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

expect = sync_api.expect
# a browser, its server and the model share a machine that may be loaded
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TOKEN = "0123456789abcdef"
NAME = "board.test"
"""A name of the server to which browsers give no camera: it is neither loopback nor over HTTPS."""
OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of one face, four frames."""
    with Image.open(EXAMPLE) as image:
        return videos.write_video(
            tmp_path_factory.mktemp("video") / "clip.mp4", [image.convert("RGB")] * 4, 4
        )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, whose camera shows the example."""
    rule = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with open_chromium(tmp_path_factory.mktemp("camera"), rule) as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a server's page in a browser profile of its own.

    No script of it may fail, nothing may break its Content-Security-Policy, and it may ask nobody
    but its server.
    """
    faults: list[str] = []
    contexts = []

    def note(message: Any) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    def open(run: Running, *, script: str = "", host: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        url = f"http://{host or '127.0.0.1'}:{run.port}"
        allowed = (url, url.replace("http:", "ws:"), "blob:", "data:")
        context.on(
            "request",
            lambda one: None if one.url.startswith(allowed) else faults.append(one.url),
        )
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", note)
        if script:
            page.add_init_script(script)
        page.goto(url)
        return page

    expect.set_options(timeout=TIMEOUT)
    yield open
    for context in contexts:
        context.close()
    assert faults == []


def give_image(page: Page, event: str) -> None:
    """Drop or paste the example."""
    page.evaluate(
        """([kind, content]) => {
          const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
          const event = kind === "paste"
            ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true })
            : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        [event, base64.b64encode(EXAMPLE.read_bytes()).decode()],
    )


def pixel(canvas: Locator, x: float, y: float) -> tuple[int, ...]:
    """The colour at a fraction of a canvas's width and height."""
    found = canvas.evaluate(
        """(one, [x, y]) => [...one.getContext("2d").getImageData(
          Math.floor(one.width * x), Math.floor(one.height * y), 1, 1).data]""",
        [x, y],
    )
    return tuple(found[:3])


def is_example(canvas: Locator) -> bool:
    """Whether a canvas shows the example: three places that neither box nor label covers."""
    places = ((0.3, 0.5), (0.5, 0.4), (0.7, 0.8))
    with Image.open(EXAMPLE) as image:
        rgb = image.convert("RGB")
        wanted = [rgb.getpixel((int(x * rgb.width), int(y * rgb.height))) for x, y in places]
    shown = [pixel(canvas, x, y) for x, y in places]
    return all(
        abs(a - b) < 40
        for one, other in zip(shown, wanted, strict=True)
        for a, b in zip(one, other, strict=True)  # type: ignore[arg-type]
    )


def wait_for_frames(page: Page, count: int) -> None:
    """Wait until a page has drawn that many more frames of the live view."""
    page.evaluate(
        """(count) => new Promise((done) => {
          const draw = CanvasRenderingContext2D.prototype.drawImage;
          let left = count;
          CanvasRenderingContext2D.prototype.drawImage = function (...values) {
            draw.apply(this, values);
            if (this.canvas.id === "picture" && --left === 0) {
              CanvasRenderingContext2D.prototype.drawImage = draw;
              done();
            }
          };
        })""",
        count,
    )


RECORD_TAGS = """window.tags = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const inside = x >= 0 && y >= 0 && y <= this.canvas.clientHeight;
  window.tags.push([text, inside]);
  fill.call(this, text, x, y);
};"""
"""Keeps the labels that are drawn, and whether they are on the picture."""


def expect_live(page: Page) -> None:
    expect(page.locator("#picture")).to_have_attribute("aria-label", "Live picture: Face 1: happy")


def test_the_live_view_shows_the_video_and_its_face(
    start: StartServer, open_page: OpenPage, clip: Path
) -> None:
    page = open_page(start(source=str(clip)))
    expect_live(page)
    expect(page.locator("#picture")).to_be_visible()
    assert is_example(page.locator("#picture"))
    expect(page.locator("#faces .face-head strong")).to_have_text(["happy"])
    expect(page.locator("#faces .bars li")).to_have_count(7)
    expect(page.locator("#count")).to_have_text("1")
    expect(page.locator("#recording")).to_have_text("Camera is on")
    expect(page.locator("#chart")).to_have_attribute(
        "aria-label", "Expressions of Face 1 over the last two minutes: happy 100 % of the time"
    )
    expect(page.locator("#announcer")).to_have_text("Face 1: happy")  # to a screen reader
    expect(page.locator("#notice")).to_be_hidden()
    wait_for_frames(page, 4)


def test_images_are_chosen_dropped_and_pasted(start: StartServer, open_page: OpenPage) -> None:
    page = open_page(start())
    expect(page.locator("#empty")).to_contain_text("No camera on the board")
    choose_image(page, EXAMPLE.read_bytes())
    result = page.locator(".result")
    expect(result.locator("h3")).to_have_text(["face.png1 face"])
    expect(result.locator("h4")).to_have_text(["Face 1: happy"])
    assert is_example(result.locator("canvas"))
    for count, event in ((2, "drop"), (3, "paste")):
        give_image(page, event)
        expect(result).to_have_count(count)
        expect(result.first.locator("h3")).to_contain_text(f"{event}.png")
    page.get_by_role("button", name="Clear").click()
    expect(result).to_have_count(0)
    expect(page.locator("#files")).to_be_focused()


def drawn_tags(page: Page, count: int) -> set[tuple[str, bool]]:
    """The labels that were drawn since the page was opened; images are drawn more than once."""

    def read() -> set[tuple[str, bool]]:
        return {(text, is_inside) for text, is_inside in page.evaluate("window.tags")}

    wait_until(lambda: len(read()) >= count)
    return read()


def answer_with(page: Page, boxes: Sequence[Sequence[int]]) -> None:
    """Let the server answer with faces in these boxes, each as happy as the one that it found."""

    def answer(route: Any) -> None:
        response = route.fetch()
        document = response.json()
        (result,) = document["results"]
        result["faces"] = [{**result["faces"][0], "box": box} for box in boxes]
        route.fulfill(response=response, json=document)

    page.route("**/v1/predict", answer)


def test_labels_lie_on_the_picture(start: StartServer, open_page: OpenPage) -> None:
    page = open_page(start(), script=RECORD_TAGS)
    choose_image(page, EXAMPLE.read_bytes())  # one face, which fills it
    ((text, is_inside),) = drawn_tags(page, 1)
    assert text.startswith("happy ")
    assert is_inside
    # room above; room below; none; too narrow for a whole label; too small for any
    answer_with(
        page, [[60, 60, 80, 80], [0, 0, 80, 80], [140, 0, 80, 260], [9, 200, 20, 20], [50, 9, 6, 6]]
    )
    choose_image(page, EXAMPLE.read_bytes())
    wanted = [text, *(f"{number} · {text}" for number in (1, 2, 3)), "4"]
    assert drawn_tags(page, 5) == {(one, True) for one in wanted}


def test_a_face_too_small_to_rely_on_is_said_to_be(start: StartServer, open_page: OpenPage) -> None:
    page = open_page(start())
    page.route("**/v1/predict", answer_small)
    choose_image(page, EXAMPLE.read_bytes())
    face = page.locator(".result h4")
    expect(face).to_contain_text("happy (too small to rely on)")
    expect(face.locator(".swatch")).to_have_css("background-color", "rgb(201, 206, 212)")


def answer_small(route: Any) -> None:
    """Let the server say that the face is small."""
    response = route.fetch()
    document = response.json()
    document["results"][0]["faces"][0]["small"] = True
    route.fulfill(response=response, json=document)


def test_many_faces_are_listed_closed(start: StartServer, open_page: OpenPage) -> None:
    page = open_page(start())
    answer_with(page, [[20 * place, 9, 15, 15] for place in range(9)])
    choose_image(page, EXAMPLE.read_bytes())
    faces = page.locator(".result details")
    expect(faces).to_have_count(9)
    expect(faces.last.locator("summary")).to_have_text("Face 9: happy")
    expect(faces.last.locator(".bars")).to_be_hidden()
    faces.last.locator("summary").click()
    expect(faces.last.locator(".bars")).to_be_visible()
    assert overflow(page) == []
    check_with_axe(page)


def test_a_server_without_a_camera_shows_no_empty_panels(
    start: StartServer, open_page: OpenPage
) -> None:
    page = open_page(start())
    panels = (page.locator(".people"), page.locator(".course"), page.locator(".figures"))
    expect(page.locator("#empty")).to_contain_text("No camera on the board")
    for panel in panels:
        expect(panel).to_be_hidden()
    page.get_by_role("button", name="This device").click()
    expect_live(page)
    for panel in panels:
        expect(panel).to_be_visible()


def test_what_cannot_be_read_is_named(start: StartServer, open_page: OpenPage) -> None:
    page = open_page(start(max_body=500_000))
    choose_image(page, b"no image", "torn.png")
    notices = page.locator(".result .notice.bad")
    expect(notices).to_have_count(1)
    expect(notices.first).to_contain_text("Not read: torn.png: ")
    choose_image(page, bytes(600_000), "large.png")
    expect(notices).to_have_count(2)
    expect(notices.first).to_contain_text("over the limit of 500,000 bytes")
    choose_image(page, b"text", "notes.txt")
    expect(page.locator("#upload-notice")).to_have_text("There is no image among these files.")
    choose_image(page, EXAMPLE.read_bytes())  # and the next one is
    expect(page.locator(".result h4")).to_have_text(["Face 1: happy"])


def test_an_image_waits_while_the_server_is_busy(
    start: StartServer, open_page: OpenPage, recognizer: Recognizer
) -> None:
    held = HeldRecognizer(recognizer)
    run = start(held, max_requests=1)
    one, other = open_page(run), open_page(run)
    choose_image(one, EXAMPLE.read_bytes())
    expect(one.locator("#upload-notice")).to_have_text("Reading 1 image …")
    wait_until(lambda: held.waiting == 1)
    choose_image(other, EXAMPLE.read_bytes())
    expect(other.locator("#upload-notice")).to_have_text("The server is busy. Trying again …")
    held.go.set()
    for page in (one, other):
        expect(page.locator(".result h4")).to_have_text(["Face 1: happy"])


def test_the_page_comes_back_after_the_server(
    start: StartServer, open_page: OpenPage, clip: Path
) -> None:
    run = start(source=str(clip))
    page = open_page(run)
    expect_live(page)
    run.stop()
    expect(page.locator("#notice")).to_contain_text("connection to the server is lost")
    expect(page.locator("#rate")).to_have_text("–")
    expect(page.locator("#recording")).to_be_hidden()
    start(source=str(clip), port=run.port)
    expect(page.locator("#notice")).to_be_hidden()
    wait_for_frames(page, 2)
    expect(page.locator("#rate")).not_to_have_text("–")
    expect(page.locator("#recording")).to_be_visible()


def test_a_page_that_is_opened_before_the_server_answers(
    start: StartServer, open_page: OpenPage, clip: Path
) -> None:
    run = start(source=str(clip))
    page = open_page(run)
    page.route("**/v1/model", lambda route: route.abort())
    page.reload()
    expect(page.locator("#notice")).to_contain_text("connection to the server is lost")
    page.unroute("**/v1/model")
    expect_live(page)


def test_a_camera_that_is_lost_is_named(
    start: StartServer, open_page: OpenPage, camera: FakeCamera
) -> None:
    page = open_page(start(source="0"))
    expect(page.locator("#picture")).to_be_visible()
    camera.is_there.clear()
    notice = page.locator("#notice")
    expect(notice).to_contain_text("The camera is lost, and is tried again. camera 0: stopped")
    expect(page.locator("#recording")).to_be_hidden()
    camera.is_there.set()
    expect(notice).to_be_hidden()
    expect(page.locator("#recording")).to_be_visible()


def test_login_and_logout(start: StartServer, open_page: OpenPage, clip: Path) -> None:
    page = open_page(start(source=str(clip), token=TOKEN))
    login = page.get_by_role("dialog", name="Log in")
    expect(login).to_be_visible()
    expect(page.locator("#picture")).to_be_hidden()
    login.get_by_label("Token").fill("wrong")
    login.get_by_role("button", name="Log in").click()
    expect(login.get_by_role("alert")).to_have_text("This token is wrong.")
    login.get_by_label("Token").fill(TOKEN)
    login.get_by_role("button", name="Log in").click()
    expect(login).to_be_hidden()
    expect_live(page)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.reload()
    expect_live(page)
    page.get_by_role("button", name="Log out").click()
    expect(login).to_be_visible()


def test_a_viewer_that_stalls_holds_no_other_up(
    start: StartServer, open_page: OpenPage, clip: Path
) -> None:
    run = start(source=str(clip), stall_timeout=900.0)
    # its browser never finishes a frame
    stalled = open_page(run, script="self.createImageBitmap = () => new Promise(() => {});")
    expect(stalled.locator("#viewers")).to_have_text("1")
    quick = open_page(run)
    wait_for_frames(quick, 12)
    expect(stalled.locator("#picture")).to_be_hidden()
    assert run.server.live.audience.dropped > 0


def test_two_viewers_and_one_too_many(start: StartServer, open_page: OpenPage, clip: Path) -> None:
    run = start(source=str(clip), max_viewers=2)
    one, other = open_page(run), open_page(run)
    for page in (one, other):
        expect_live(page)
        expect(page.locator("#viewers")).to_have_text("2")
    third = open_page(run)
    expect(third.locator("#notice")).to_contain_text("as many viewers as it allows")
    other.close()
    expect_live(third)


def test_a_page_that_nobody_sees_is_no_viewer(
    start: StartServer, open_page: OpenPage, clip: Path
) -> None:
    run = start(source=str(clip))
    page = open_page(run)
    expect_live(page)
    show = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(show, True)
    wait_until(lambda: run.server.live.audience.count == 0)
    page.evaluate(show, False)
    wait_for_frames(page, 2)


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_scrolls_sideways(
    start: StartServer, open_page: OpenPage, clip: Path, width: int
) -> None:
    run = start(source=str(clip))
    page = open_page(run, viewport={"width": width, "height": 844})
    expect_live(page)
    choose_image(page, EXAMPLE.read_bytes(), f"{'a-long-name-' * 9}.png")
    choose_image(page, b"no image", f"{'torn' * 30}.png")
    expect(page.locator(".result")).to_have_count(2)
    assert overflow(page) == []
    page.goto(f"{run.url}/api.html")
    expect(page.locator("#schemas .card").first).to_be_visible()
    assert overflow(page) == []


def focused(page: Page) -> str:
    """The element with the focus, which must show it."""
    name, outline = page.evaluate(
        """() => {
          const one = document.activeElement;
          const shown = one.id === "files" ? one.parentElement : one;
          return [one.id || one.className || one.tagName, getComputedStyle(shown).outlineStyle];
        }"""
    )
    assert outline != "none", name
    return str(name)


def test_by_keyboard_alone(start: StartServer, open_page: OpenPage, clip: Path) -> None:
    page = open_page(start(source=str(clip), token=TOKEN))
    keys = page.keyboard
    expect(page.locator("#token")).to_be_focused()
    keys.type(TOKEN)
    keys.press("Enter")
    expect_live(page)
    page.reload()
    expect_live(page)
    order = []
    while not order or order[-1] != "files":
        keys.press("Tab")
        order.append(focused(page))
        assert len(order) < 20, order
    assert order == ["skip", "theme", "logout", "use-server", "use-device", "face-head", "files"]
    page.reload()
    expect_live(page)
    keys.press("Tab")
    keys.press("Enter")  # past the tools
    keys.press("Tab")
    assert focused(page) == "use-server"
    keys.press("Tab")
    keys.press("Space")
    expect(page.locator("#use-device")).to_have_attribute("aria-pressed", "true")
    expect_live(page)
    with page.expect_file_chooser() as chooser:
        page.locator("#files").focus()
        keys.press("Enter")
    chooser.value.set_files(EXAMPLE)
    expect(page.locator(".result h4")).to_have_text(["Face 1: happy"])
    page.locator("#theme").focus()
    keys.press("Space")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_camera_of_the_device(start: StartServer, open_page: OpenPage) -> None:
    run = start()
    page = open_page(run)
    page.get_by_role("button", name="This device").click()
    expect_live(page)
    assert is_example(page.locator("#picture"))
    expect(page.locator("#recording")).to_be_visible()
    page.get_by_role("button", name="Board's camera").click()
    expect(page.locator("#empty")).to_contain_text("No camera on the board")
    expect(page.locator("#recording")).to_be_hidden()
    expect(page.locator("video")).to_have_count(0)  # and the camera is off


def test_a_camera_of_the_device_that_is_refused(start: StartServer, open_page: OpenPage) -> None:
    refuse = """navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException("Permission denied", "NotAllowedError");
    };"""
    page = open_page(start(), script=refuse)
    page.get_by_role("button", name="This device").click()
    expect(page.locator("#notice")).to_have_text(
        "This device's camera cannot be used: Permission denied"
    )
    expect(page.locator("#recording")).to_be_hidden()


def test_without_tls_the_page_says_why_there_is_no_camera(
    start: StartServer, open_page: OpenPage
) -> None:
    page = open_page(start(hosts=(NAME,)), host=NAME)
    expect(page.locator("#empty")).to_contain_text("No camera on the board")
    page.get_by_role("button", name="This device").click()
    expect(page.locator("#empty")).to_contain_text("over HTTPS or on localhost alone")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_no_fault(
    start: StartServer, open_page: OpenPage, clip: Path, theme: str, viewport: dict[str, int]
) -> None:
    run = start(source=str(clip), token=TOKEN)
    page = open_page(run, color_scheme=theme, viewport=viewport, reduced_motion="reduce")
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    expect(page.locator("#login")).to_be_visible()
    page.locator("#token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#login-error")).to_be_visible()
    check_with_axe(page)
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect_live(page)
    choose_image(page, EXAMPLE.read_bytes())
    choose_image(page, b"no image", "torn.png")
    expect(page.locator(".result")).to_have_count(2)
    check_with_axe(page)
    page.goto(f"{run.url}/api.html")
    expect(page.locator("#schemas .card").first).to_be_visible()
    check_with_axe(page)
