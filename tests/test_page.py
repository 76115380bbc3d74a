"""The service's page in a real browser: what it shows is what the service answers."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import pytest
from conftest import ROWS, Churn
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright
from serving import Service

from dev import BROWSERS

BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE = 30_000  # milliseconds: the machine may be busy with something else
ROW = json.loads(ROWS)[0]
ANSWERED = re.compile(r"Failed to load resource: .*(status of [45]\d\d|net::ERR_FAILED)")
DROP = """([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name));
  const event = { dataTransfer: transfer, bubbles: true, cancelable: true };
  const zone = document.querySelector(".drop");
  const kinds = ["dragover", "drop"];
  return kinds.map((kind) => zone.dispatchEvent(new DragEvent(kind, event)));
}"""
CSV = (
    "\ufeffisland,note,body_mass_g,bill_length_mm\r\n"
    'Dream,"said ""no"", then\r\nleft",3800,49.5\r\n'
    "\r\n"
    "Biscoe,,NA,46.1\r\n"
)

Scheme = Literal["light", "dark"]

pytestmark = pytest.mark.skipif(
    BROWSER is None,
    reason=f"The page needs a browser, and none of {', '.join(BROWSERS)} is on PATH.",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless, with a profile of its own."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    """A page in which nothing may go wrong: a breach of the security policy is an error here."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # The browser logs each answer of 400 and more; whether one is right, the test says.
        if message.type in ("error", "warning") and not ANSWERED.match(message.text):
            errors.append(message.text)

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


@pytest.fixture
def page(blank: Page, served: Service) -> Page:
    """The page as it is served, and loaded."""
    response = blank.goto(f"{served.url}/")
    assert response is not None
    assert "default-src 'none'" in response.headers["content-security-policy"]
    expect(blank.get_by_role("heading", name="Predict one row")).to_be_visible()
    return blank


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Saves what the page looks like, to be looked at."""
    folder = Path(os.environ.get("TEST_ARTIFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def save(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"page-{name}.png", full_page=True)

    return save


def fill(page: Page, row: dict[str, Any]) -> None:
    """Write a row into the form, and nothing else."""
    for field in page.locator("#fields").locator("input, select").all():
        name = field.get_attribute("id") or ""
        label = page.locator(f'label[for="{name}"]').evaluate("label => label.firstChild.data")
        value = row.get(label)
        text = "" if value is None else str(value)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(text)
        else:
            field.fill(text)


def ask(page: Page) -> Any:
    """Press Enter on the button, and read the answer as JSON."""
    page.get_by_role("button", name="Predict", exact=True).press("Enter")
    page.get_by_text("As JSON").click()
    return json.loads(page.locator("#answer details pre").inner_text())


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file, and see that the browser does not leave the page for it."""
    assert page.evaluate(DROP, [name, text]) == [False, False]


def table(page: Page) -> list[dict[str, str]]:
    """The rows of the table, by the names of its columns."""
    lines: list[list[str]] = page.locator("#table tr").evaluate_all(
        "lines => lines.map(line => [...line.cells].map(cell => cell.textContent))"
    )
    header = [name.replace("\u200b", "") for name in lines[0]]
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def alert(page: Page) -> str:
    """What the page says went wrong."""
    shown = page.locator("[role=alert]:not(:empty)")
    expect(shown).to_have_count(1)
    return shown.inner_text()


def test_the_form_starts_with_an_example(page: Page, served: Service) -> None:
    document = served.get("/openapi.json")
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    expect(page).to_have_title(document["info"]["title"])
    expect(page.get_by_role("heading", level=1)).to_have_text(
        f"{document['info']['title']} {document['info']['version']}"
    )
    island = page.get_by_role("combobox", name="island", exact=True)
    expect(island).to_have_attribute("required", "")
    expect(page.get_by_label("bill_length_mm")).to_have_attribute("max", "1000")
    expect(page.get_by_label("bill_length_mm")).to_have_accessible_description("millimetres")
    with page.expect_request("**/predict") as sent:
        ask(page)
    assert sent.value.post_data_json == {"data": content["example"]["data"][:1]}


def test_a_row_in_the_form_is_answered(page: Page, served: Service) -> None:
    fill(page, ROW)
    with page.expect_request("**/predict") as sent:
        answer = ask(page)
    assert sent.value.post_data_json == {"data": [ROW]}
    _, expected = served.post("/predict", json.dumps({"data": [ROW]}).encode())
    assert [answer] == expected["predictions"]
    assert page.locator(".fact").inner_text() == answer["species"]
    shares = sorted(answer["probabilities"].items(), key=lambda share: -share[1])
    bars = [text.split() for text in page.locator("#answer li").all_inner_texts()]
    assert bars == [[name, f"{100 * share:.1f}%"] for name, share in shares]
    longest = page.locator(".track div").first.bounding_box()
    track = page.locator(".track").first.bounding_box()
    assert longest is not None and track is not None
    assert longest["width"] == pytest.approx(track["width"] * shares[0][1], rel=0.01)


def test_a_chosen_csv_comes_back_as_the_command_line_answers_it(page: Page, churn: Churn) -> None:
    source = churn.root / "data" / "raw" / "penguins.csv"
    page.get_by_label("Drop a file here").set_input_files(source)
    status = page.locator("#file-status")
    expect(status).to_contain_text("344 rows of penguins.csv predicted. The first 200 are shown.")
    expect(status).to_contain_text("Ignored columns: species, year.")
    shown = table(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download predictions as CSV").press("Enter")
    assert download.value.suggested_filename == "penguins-predictions.csv"
    got = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    told = list(csv.DictReader(io.StringIO(churn.verb("predict", str(source)).stdout)))
    assert (len(shown), len(got), len(told)) == (200, 344, 344)
    assert list(got[0]) == list(told[0])
    for mine, theirs in zip(got, told, strict=True):
        for name, cell in theirs.items():
            if name.startswith("prediction.probabilities"):
                assert float(mine[name]) == pytest.approx(float(cell))
            else:
                assert mine[name] == cell
    for number, (line, mine) in enumerate(zip(shown, got, strict=False), 1):
        assert line["Row"] == str(number)
        assert line["prediction.species"] == mine["prediction.species"]
        assert line["species"] == mine["species"]


def test_a_dropped_csv_comes_back_as_a_table(page: Page, served: Service) -> None:
    with page.expect_request("**/predict") as sent:
        drop(page, "two.csv", CSV)
    rows = [
        {"island": "Dream", "body_mass_g": 3800, "bill_length_mm": 49.5},
        {"island": "Biscoe", "bill_length_mm": 46.1},
    ]
    assert sent.value.post_data_json == {"data": rows}
    expect(page.locator("#file-status")).to_have_text(
        "2 rows of two.csv predicted. Ignored columns: note."
    )
    _, expected = served.post("/predict", json.dumps({"data": rows}).encode())
    shown = table(page)
    assert [line["prediction.species"] for line in shown] == [
        prediction["species"] for prediction in expected["predictions"]
    ]
    assert [line["note"] for line in shown] == ['said "no", then\r\nleft', ""]
    assert shown[1]["body_mass_g"] == "NA"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_dropped_json_comes_back_as_a_table(page: Page, wrapped: bool) -> None:
    rows = [{**ROW, "sex": None}]
    drop(page, "one.json", json.dumps({"data": rows} if wrapped else rows))
    expect(page.locator("#file-status")).to_have_text("1 row of one.json predicted.")
    (line,) = table(page)
    assert (line["body_mass_g"], line["sex"]) == ("3800", "")


def test_many_rows_go_in_requests_that_the_service_takes(page: Page) -> None:
    line = "Dream,49.5,19.1,201.5,3800,male\n"
    header = "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex\n"
    drop(page, "many.csv", header + 12_000 * line)
    status = page.locator("#file-status")
    expect(status).to_contain_text("12,000 rows of many.csv predicted.")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("far.csv", "island\n" + 20_000 * "Dream\n" + "Mars\n", "row 20001 of the file"),
        ("word.csv", "island,body_mass_g\nDream,heavy\n", "row 1, body_mass_g"),
        ("ragged.csv", "island,sex\nDream,male,1\n", "Row 1 has 3 cells, the header 2."),
        ("quote.csv", 'island,sex\nDream,"male\n', "A quoted cell in line 2 does not end well."),
        ("empty.csv", "", "No column is a field of the model."),
        ("header.csv", "island,sex\n", "The file holds no rows."),
        ("other.csv", "island;sex\nDream;male\n", "No column is a field of the model."),
        ("half.json", '[{"island": ', "This is not JSON."),
    ],
    ids=["far", "word", "ragged", "quote", "empty", "header", "other", "half"],
)
def test_what_is_wrong_with_a_file_is_said(page: Page, name: str, text: str, said: str) -> None:
    drop(page, name, text)
    assert said in alert(page)
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    expect(page.get_by_role("region", name="Predictions")).to_be_hidden()


def test_an_error_marks_the_field_that_it_names(page: Page) -> None:
    mass = page.get_by_label("body_mass_g")
    mass.fill("0")
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(mass).to_have_attribute("aria-invalid", "true")
    expect(mass).to_be_focused()
    assert "row 1, body_mass_g" in alert(page)
    expect(mass).to_have_accessible_description(re.compile(r"grams.*body_mass_g"))
    mass.fill("3750")
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    assert "species" in ask(page)
    expect(page.locator("[role=alert]:not(:empty)")).to_have_count(0)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (503, {"Retry-After": "2"}, "Busy Try later. Try again in 2 seconds."),
        (503, {}, "Busy Try later."),
        (None, {}, "The service does not answer: it has stopped, or the network is down."),
    ],
    ids=["busy for seconds", "busy", "gone"],
)
def test_a_service_that_cannot_answer_is_one_sentence(
    page: Page, status: int | None, headers: dict[str, str], said: str
) -> None:
    problem = {"title": "Busy", "status": status, "detail": "Try later."}

    def answer(route: Route) -> None:
        if status is None:
            route.abort()
        else:
            kind = {"Content-Type": "application/problem+json"}
            route.fulfill(status=status, headers=headers | kind, body=json.dumps(problem))

    page.route("**/predict", answer)
    page.get_by_role("button", name="Predict", exact=True).click()
    assert " ".join(alert(page).split()) == said


def test_a_key_is_asked_for_and_kept_out_of_the_code(blank: Page, served: Service) -> None:
    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer s3cret":
            route.continue_()
        else:
            route.fulfill(status=401, json={"title": "Unauthorized", "status": 401})

    blank.route(re.compile(r"/(openapi\.json|predict)$"), guard)
    blank.goto(f"{served.url}/")
    key = blank.get_by_role("textbox", name="API key")
    expect(key).to_be_visible()
    assert "Unauthorized" in alert(blank)
    key.fill("s3cret")
    blank.get_by_role("button", name="Load").click()
    assert "species" in ask(blank)
    code = blank.locator("pre#curl, pre#python").all_inner_texts()
    assert all("API_KEY" in snippet and "s3cret" not in snippet for snippet in code)


@pytest.mark.parametrize("key", ["", "s3cret"], ids=["no key", "key"])
@pytest.mark.parametrize("name", ["curl", "python"])
def test_the_code_answers_what_the_page_answers(
    page: Page, churn: Churn, name: str, key: str
) -> None:
    page.get_by_text("API key").first.click()
    page.get_by_role("textbox", name="API key").fill(key)
    fill(page, ROW)
    answer = ask(page)
    code = page.locator(f"pre#{name}").inner_text()
    shell, command = shutil.which("sh"), shutil.which("curl")
    if name == "curl" and (shell is None or command is None):
        pytest.skip("The snippet needs sh and curl.")
    words = [str(shell), "-c", code] if name == "curl" else [str(churn.python), "-c", code]
    done = subprocess.run(
        words, env={**os.environ, "API_KEY": key}, capture_output=True, timeout=60, check=True
    )
    said = done.stdout.decode()
    told = json.loads(said)["predictions"] if name == "curl" else ast.literal_eval(said)
    assert told == [answer]


def test_copy_puts_the_code_on_the_clipboard(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read"])
    for number, name in enumerate(["curl", "python"]):
        button = page.locator(".copy").nth(number)
        button.press("Enter")
        expect(button).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.replace("\r\n", "\n") == page.locator(f"pre#{name}").inner_text()


def test_every_kind_of_field_has_its_control(blank: Page, served: Service) -> None:
    row = {
        "name": "O'Neill's $HOME, `x` \\ é true",
        "age": 3,
        "tame": False,
        "grade": 2,
        "tags": ["it's", None, True],
        "weight": None,
    }
    fields = {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "tame": {"type": "boolean"},
        "grade": {"enum": [1, 2, 3]},
        "tags": {"type": "array", "items": {}},
        "weight": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    }
    required = [name for name in fields if name != "note"]
    items = {"type": "object", "properties": fields, "required": required}
    prediction = {"score": 12.5, "vector": [1, 2]}
    sent = echo(blank, {"type": "array", "items": items}, [row], [prediction])
    blank.goto(f"{served.url}/")
    for role, name in [
        ("textbox", "name"),
        ("spinbutton", "age"),
        ("combobox", "tame"),
        ("combobox", "grade"),
        ("textbox", "tags"),
        ("spinbutton", "weight"),
        ("textbox", "note"),
    ]:
        expect(blank.get_by_role(role, name=name, exact=True)).to_be_visible()  # type: ignore[arg-type]
    assert ask(blank) == prediction
    assert sent == [{"data": [row]}]
    curl, python = blank.locator("pre#curl, pre#python").all_inner_texts()
    assert json.loads(shlex.split(curl)[-1]) == {"data": [row]}
    bodies = [
        ast.literal_eval(line.value)
        for line in ast.parse(python).body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "body"
    ]
    assert bodies == [{"data": [row]}]
    blank.get_by_label("tags").fill("[1,")
    blank.get_by_role("button", name="Predict", exact=True).click()
    assert "This is not JSON." in alert(blank)
    expect(blank.get_by_label("tags")).to_be_focused()
    drop(blank, "one.csv", "tame,grade,age,name,tags\nTRUE,3,4,1,[]\n")
    expect(blank.locator("#file-status")).to_have_text("1 row of one.csv predicted.")
    csv_row = {"name": "1", "age": 4, "tame": True, "grade": 3, "tags": [], "weight": None}
    assert sent[1:] == [{"data": [csv_row]}]


def test_an_untyped_model_takes_any_json(blank: Page, served: Service) -> None:
    sent = echo(blank, {}, [[1, 2.5], [3, 4]], [0.5, 1.5])
    blank.goto(f"{served.url}/")
    data = blank.get_by_role("textbox", name="data")
    expect(data).to_have_value("[[1,2.5],[3,4]]")
    assert ask(blank) == [0.5, 1.5]
    drop(blank, "rows.json", "[[1, 2], [3, 4]]")
    expect(blank.locator("#file-status")).to_have_text("2 rows of rows.json predicted.")
    assert table(blank)[1] == {"Row": "2", "prediction": "1.5", "row": "[3,4]"}
    drop(blank, "rows.csv", "10,2\n1,\n3,x\n")
    expect(blank.locator("#file-status")).to_have_text("2 rows of rows.csv predicted.")
    expected = [[[1, 2.5], [3, 4]], [[1, 2], [3, 4]], [[1, None], [3, "x"]]]
    assert sent == [{"data": rows} for rows in expected]


def echo(page: Page, schema: object, example: object, predictions: object) -> list[Any]:
    """Have another model behind the page; what it is sent lands in the list."""
    content = {"schema": {"properties": {"data": schema}}, "example": {"data": example}}
    predict = {"requestBody": {"content": {"application/json": content}}}
    info = {"title": "other", "version": "2"}
    document = {"info": info, "paths": {"/predict": {"post": predict}}}
    sent: list[Any] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json={"predictions": predictions})

    page.route("**/openapi.json", lambda route: route.fulfill(json=document))
    page.route("**/predict", answer)
    return sent


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_nothing_to_object_to(
    page: Page, width: int, scheme: Scheme, shoot: Callable[[Page, str], None]
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    run = """async () => (await axe.run()).violations.flatMap((violation) =>
      violation.nodes.map((node) => `${violation.help}: ${node.html}`))"""
    assert page.evaluate(run) == []
    page.get_by_text("API key").first.click()
    ask(page)
    drop(page, "two.csv", CSV)
    expect(page.get_by_role("region", name="Predictions")).to_be_visible()
    assert page.evaluate(run) == []
    shoot(page, f"{scheme}-{width}-answers")
    page.get_by_label("body_mass_g").fill("0")
    page.get_by_role("button", name="Predict", exact=True).click()
    assert "body_mass_g" in alert(page)
    assert page.evaluate(run) == []
    shoot(page, f"{scheme}-{width}-error")
    assert page.evaluate("document.documentElement.scrollWidth") == width
