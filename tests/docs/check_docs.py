# SPDX-License-Identifier: MIT
"""Holds the documentation to the repository.

Every link inside it must lead somewhere, every heading that is linked must be there, every path and every test that a
page names must exist; every duty in conformance.md must name a test. Prints each offence as file: what, and exits 1 when there is one. The directory to check is the
repository, or the only argument.
"""

import re
import sys
from pathlib import Path

PATH = re.compile(r"`((?:src|tests|include|config|scripts|docs)/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PYTHON_TEST = re.compile(r"`(test_\w+)`")
CATEGORIES = re.compile(r"`test_crooked_(?:requests|answers)`: ((?:\*[^*]+\*(?:, )?)+)|`test_odd_requests_have_one_form`: ((?:\*[^*]+\*(?:, )?)+)")
C_TESTS = re.compile(r"`(?:tests/)?(unit/\w+/\w+\.c)`(?: \(|: )((?:`\w+`(?:, )?)+)")


def without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def check_links(page, text, offence):
    for link in LINK.findall(text):
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        if link.startswith(("https://", "http://")):
            continue
        if not target.exists():
            offence(page, f"the link {link} leads nowhere")
        elif fragment and fragment not in map(anchor, re.findall(r"^#+ (.*)$", target.read_text(), re.M)):
            offence(page, f"no heading for the link {link}")


def check_names(root, page, text, tests, offence):
    for path in PATH.findall(text):
        if not (root / path).exists():
            offence(page, f"there is no {path}")
    for name in PYTHON_TEST.findall(text):
        if name not in tests["python"] and name not in tests["files"]:
            offence(page, f"there is no test {name}")
    for path, names in C_TESTS.findall(text):
        for name in re.findall(r"\w+", names):
            if name not in tests["c"].get(path, ()):
                offence(page, f"there is no test {name} in {path}")


def check_duties(root, page, text, tests, offence):
    """Each row of a table of duties names a test, and the tables of raw bytes have the categories that are named."""
    for row in re.findall(r"^\| (?!section \||---)(.*) \|$", text, re.M):
        cells = re.split(r" (?<!\\)\| ", row)
        if len(cells) == 4 and not (PYTHON_TEST.search(cells[3]) or C_TESTS.search(cells[3])):
            offence(page, f"no test for the duty: {cells[0]}, {cells[1]}")
    for named in re.findall(r"\*([^*`|]+)\*", " ".join(a or b for a, b in CATEGORIES.findall(text))):
        if named not in tests["categories"]:
            offence(page, f"test_crooked.py has no category {named}")


def check_image(root, offence):
    """A label of the image says the version, and a Dockerfile cannot ask CMake for it."""
    made, project = root / "Dockerfile", root / "CMakeLists.txt"
    if made.exists() and project.exists():
        version = re.search(r"project\(diplex VERSION (\S+)", project.read_text()).group(1)
        if f'image.version="{version}"' not in made.read_text():
            offence(made, f"the label of the version is not {version}")


def known_tests(root):
    python = sorted([*(root / "tests/e2e").glob("*.py"), *(root / "tests/differential").glob("*.py")])
    crooked = root / "tests/e2e/test_crooked.py"
    c = sorted((root / "tests/unit").glob("*/*.c"))
    return {
        "python": {name for file in python for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.M)},
        "c": {file.relative_to(root / "tests").as_posix(): re.findall(r"START_TEST\((\w+)\)", file.read_text())
              for file in c},
        "categories": re.findall(r"^    '([^']+)': \[$", crooked.read_text() if crooked.exists() else "", re.M),
        "files": {file.stem for file in python + c},
    }


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2])
    found = []
    tests = known_tests(root)
    pages = sorted(root.glob("*.md")) + sorted((root / "docs").glob("**/*.md"))
    for page in pages:
        text = without_code(page.read_text())
        check_links(page, text, lambda where, what: found.append(f"{where.relative_to(root)}: {what}"))
        if page.name == "conformance.md":
            check_duties(root, page, text, tests, lambda where, what: found.append(f"{where.relative_to(root)}: {what}"))
        check_names(root, page, text, tests, lambda where, what: found.append(f"{where.relative_to(root)}: {what}"))
    check_image(root, lambda where, what: found.append(f"{where.relative_to(root)}: {what}"))
    if not pages:
        found.append(f"no pages below {root}")
    print("\n".join(found) if found else f"{len(pages)} pages: every link, path and test is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
