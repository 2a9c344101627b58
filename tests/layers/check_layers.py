# SPDX-License-Identifier: MIT
"""Holds the house to src/LAYERS and to its sizes.

Every #include below src/ and include/diplex/ must be one that LAYERS allows; LAYERS itself must have no stair going up,
no circle and no door between the houses; functions, files and faces stay small. Prints each offence as
file:line: what, and exits 1 when there is one. The directory to check is the repository, or the only argument.
"""

import re
import sys
from pathlib import Path

MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 600
MAX_FACE_LINES = 160

HOUSES = {  # house of a room: houses of the rooms it may include
    "shared": {"shared"},
    "data": {"shared", "data"},
    "control": {"shared", "control"},
    "both": {"shared", "data", "control", "both"},
}
TOOLCHAIN_DIRECTORIES = {"arpa", "asm", "linux", "net", "netinet", "sanitizer", "sys"}
OLD_LIBRARY_NAMES = {"event.h": "event2", "evhttp.h": "event2", "evdns.h": "event2", "evutil.h": "event2"}


class Room:
    def __init__(self, name, floor, house, rooms, libraries, line):
        self.name, self.floor, self.house = name, int(floor), house
        self.rooms, self.libraries, self.line = rooms.split(), libraries.split(), line


def read_layers(path, offence):
    rooms = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\w+)\s+(\d+)\s+(\w+)\s*:([^:]*):([^:]*)", line)
        if not match or match[3] not in HOUSES:
            offence(path, number, "not of the form `room floor house : rooms : libraries`")
        elif match[1] in rooms:
            offence(path, number, f"{match[1]} is there twice")
        else:
            rooms[match[1]] = Room(*match.groups(), number)
    return rooms


def check_plan(path, rooms, offence):
    for room in rooms.values():
        for name in room.rooms:
            other = rooms.get(name)
            if other is None:
                offence(path, room.line, f"{room.name} may include {name}, which is no room")
            elif other.floor > room.floor:
                offence(path, room.line, f"{room.name} on floor {room.floor} may include {name} above it")
            elif other.house not in HOUSES[room.house]:
                offence(path, room.line, f"{room.name} ({room.house}) may include {name} ({other.house})")
    for room in rooms.values():
        circle = find_circle(room.name, rooms)
        if circle:
            offence(path, room.line, "a circle: " + " -> ".join(circle))


def find_circle(start, rooms):
    waiting, seen = [[start]], set()
    while waiting:
        trail = waiting.pop()
        for name in rooms[trail[-1]].rooms if trail[-1] in rooms else []:
            if name == start:
                return trail + [start]
            if name not in seen:
                seen.add(name)
                waiting.append(trail + [name])
    return None


def blank(match):
    return "\n" * match[0].count("\n")


def strip_comments(text):
    """Takes comments out, keeping the lines and leaving literals alone."""
    literal = r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(rf"({literal})|/\*.*?\*/|//[^\n]*", lambda m: m[1] or blank(m) or " ", text, flags=re.S)


def strip_to_code(text):
    """Takes comments, literals and preprocessor lines out as well: what is left has only braces that nest."""
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', "0", strip_comments(text))
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", blank, text, flags=re.M)


def functions(text):
    """Yields (name, line of the opening brace, lines from it to the closing one)."""
    depth, line, opened, name, head = 0, 1, 0, None, []
    for char in strip_to_code(text):
        if char == "{":
            if depth == 0:
                before = "".join(head)
                match = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", before))
                name = match[1] if match and "=" not in before else None
                opened = line
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                if name:
                    yield name, opened, line - opened + 1
                head = []
        elif depth == 0:
            head = [] if char == ";" else head + [char]
        if char == "\n":
            line += 1


def includes(text):
    """Yields (line, what is included)."""
    for number, line in enumerate(strip_comments(text).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match[1]


def table_owners(root):
    """A table include/diplex/<name>.def belongs to the room whose face includes it."""
    return {target.split("/")[1]: face.stem
            for face in sorted((root / "include/diplex").glob("*.h"))
            for _, target in includes(face.read_text()) if re.fullmatch(r"diplex/\w+\.def", target)}


def room_of(name, tables):
    """The room of src/<name>, or of include/diplex/<name>."""
    first = name.split("/")[0]
    return tables.get(first) or Path(first).stem


def check_include(room, target, rooms, tables, offence):
    """`offence` takes only what is wrong. A name without a directory is a private header beside the file."""
    if target.startswith("diplex/"):
        other = room_of(target.split("/", 1)[1], tables)
        if other not in rooms:
            offence(f"{target} is of no room in src/LAYERS")
        elif other != room.name and other not in room.rooms:
            offence(f"{room.name} may not include {target}: see src/LAYERS")
        return
    first = target.split("/")[0]
    if first in rooms and "/" in target:
        if first != room.name:
            offence(f"{target} is private to the room {first}")
        return
    libraries = {name for each in rooms.values() for name in each.libraries}
    library = OLD_LIBRARY_NAMES.get(target, first)
    if library in libraries or ("/" in target and library not in TOOLCHAIN_DIRECTORIES):
        if library not in room.libraries:
            offence(f"{room.name} may not include the library header {target}: see src/LAYERS")


def check_file(path, top, rooms, tables, offence):
    text = path.read_text()
    lines = text.count("\n")
    room = rooms.get(room_of(path.relative_to(top).as_posix(), tables))
    if room is None:
        offence(path, 1, "is in no room of src/LAYERS")
        return
    for number, target in includes(text):
        check_include(room, target, rooms, tables, lambda what, at=number: offence(path, at, what))
    if "SPDX-License-Identifier: MIT" not in text.split("\n", 1)[0]:
        offence(path, 1, "the first line is not the SPDX line")
    if lines > MAX_FILE_LINES:
        offence(path, lines, f"{lines} lines, more than {MAX_FILE_LINES}")
    if path.suffix == ".h" and top.name == "diplex" and lines > MAX_FACE_LINES:
        offence(path, lines, f"a face of {lines} lines, more than {MAX_FACE_LINES}")
    for name, at, length in functions(text):
        if length > MAX_FUNCTION_LINES:
            offence(path, at, f"{name} has {length} lines, more than {MAX_FUNCTION_LINES}")


def check(root):
    offences = []

    def offence(path, line, what):
        offences.append(f"{path.relative_to(root)}:{line}: {what}")

    plan = root / "src" / "LAYERS"
    rooms = read_layers(plan, offence)
    check_plan(plan, rooms, offence)
    tables = table_owners(root)
    files = [(path, root / top) for top in ("src", "include/diplex") for path in sorted((root / top).rglob("*"))
             if path.suffix in (".c", ".h", ".def")]
    for path, top in files:
        check_file(path, top, rooms, tables, offence)
    return offences, len(rooms), len(files)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    offences, rooms, files = check(root)
    print("\n".join(offences) if offences else f"{rooms} rooms and {files} files keep to src/LAYERS")
    sys.exit(1 if offences or files == 0 else 0)


if __name__ == "__main__":
    main()
