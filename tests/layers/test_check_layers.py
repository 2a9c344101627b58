# SPDX-License-Identifier: MIT
"""Small houses, each with one thing wrong, to see that check_layers finds it (and nothing in the one that is right)."""

import tempfile
import unittest
from pathlib import Path

import check_layers

SPDX = "/* SPDX-License-Identifier: MIT */\n"
PLAN = """# a house
base 0 shared : :
loop 1 shared : base : event2
net  1 shared : base loop :
web  2 data   : base loop :
ops  2 control : base : yaml.h
"""


class Layers(unittest.TestCase):
    def offences(self, files=None, plan=PLAN):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            for name, text in {"src/LAYERS": plan, "src/base/base.c": SPDX, **(files or {})}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check_layers.check(root)[0]

    def one(self, expected, **arguments):
        found = self.offences(**arguments)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_a_house_in_order(self):
        files = {
            "src/web/web.c": SPDX + '#include "diplex/web.h"\n#include "diplex/base/list.h"\n#include "web/own.h"\n'
                                    '#include "beside.h"\n#include <sys/socket.h>\n#include <stdio.h>\n',
            "include/diplex/web.h": SPDX + '/* #include "diplex/ops.h" */\nint dx_web_run(void);\n',
            "include/diplex/loop.h": SPDX + '#include "diplex/words.def"\n',
            "include/diplex/words.def": SPDX,
            "src/loop/loop.c": SPDX + '#include "diplex/words.def"\n#include <event2/event.h>\n',
        }
        self.assertEqual(self.offences(files), [])

    def test_a_room_not_allowed(self):
        self.one("src/base/a.c:2: base may not include diplex/loop.h",
                 files={"src/base/a.c": SPDX + '#include "diplex/loop.h"\n'})

    def test_the_other_house(self):
        self.one("web may not include diplex/ops/x.h", files={"src/web/a.c": SPDX + '#include "diplex/ops/x.h"\n'})

    def test_a_face_is_checked_too(self):
        self.one("base may not include diplex/web.h",
                 files={"include/diplex/base/x.h": SPDX + '#  include "diplex/web.h"\n'})

    def test_a_private_header(self):
        self.one("private to the room loop", files={"src/web/a.c": SPDX + '#include "loop/inside.h"\n'})

    def test_libraries_stay_in_their_room(self):
        for header in ("event2/event.h", "event.h", "yaml.h", "openssl/ssl.h"):
            self.one(f"library header {header}", files={"src/web/a.c": SPDX + f"#include <{header}>\n"})

    def test_a_file_in_no_room(self):
        self.one("is in no room", files={"src/attic/a.c": SPDX})
        self.one("is of no room", files={"src/web/a.c": SPDX + '#include "diplex/attic.h"\n'})

    def test_a_table_belongs_to_the_face_that_includes_it(self):
        files = {"include/diplex/loop.h": SPDX + '#include "diplex/words.def"\n', "include/diplex/words.def": SPDX}
        self.one("base may not include diplex/words.def",
                 files={"src/base/a.c": SPDX + '#include "diplex/words.def"\n', **files})

    def test_a_plan_gone_wrong(self):
        self.one("above it", plan="a 0 shared : b :\nb 1 shared : :\nbase 0 shared : :\n")
        self.one("may include b (control)", plan="a 2 data : b :\nb 1 control : :\nbase 0 shared : :\n")
        self.one("which is no room", plan="base 0 shared : cellar :\n")
        self.one("not of the form", plan="base 0 shared : :\nfoo 1 : base\n")
        self.assertIn("a circle: a -> b -> a",
                      self.offences(plan="a 0 shared : b :\nb 0 shared : a :\nbase 0 shared : :\n")[0])

    def test_sizes(self):
        long_function = "int f(int a)\n{\n" + "    a++;\n" * 59 + "}\n"
        self.one("f has 61 lines", files={"src/base/a.c": SPDX + long_function})
        self.assertEqual(self.offences({"src/base/a.c": SPDX + long_function.replace("    a++;\n", "", 1)}), [])
        self.one("601 lines", files={"src/base/a.c": SPDX + "int x;\n" * 600})
        self.one("a face of 161 lines", files={"include/diplex/base/a.h": SPDX + "int x;\n" * 160})

    def test_braces_that_do_not_count(self):
        text = SPDX + '#define F(x) { \\\n  (x)\n' + "static const int t[] = {\n" + "    1,\n" * 70 + "};\n" \
            + "int g(void)\n{\n    return '{' + \"{\\\"\"[0]; /* { */ // {\n}\n"
        self.assertEqual(list(check_layers.functions(text)), [("g", 77, 3)])
        self.assertEqual(self.offences({"src/base/a.c": text}), [])

    def test_the_licence(self):
        self.one("SPDX", files={"src/base/a.c": "int x;\n"})


if __name__ == "__main__":
    unittest.main()
