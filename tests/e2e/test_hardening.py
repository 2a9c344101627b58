# SPDX-License-Identifier: MIT
"""What the program file itself says of its hardening, read from its ELF headers and its code. It is asked of what is
shipped, so of a release build; and of a program built without any of it, so that each look is known to see.

    DIPLEX_BIN=build/release/diplex build/venv/bin/python -m pytest tests/e2e/test_hardening.py
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import struct
import subprocess

import harness
import pytest

PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 0x6474E551, 0x6474E552
X, W = 1, 2
DT_PLTGOT, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_RPATH, DT_TEXTREL, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = (
    3, 5, 6, 10, 15, 22, 29, 30, 0x6FFFFFFB
)  # fmt: skip
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
ET_DYN, EM_X86_64, EM_AARCH64 = 3, 62, 183

# Where a jump may land: endbr64; bti c, or paciasp, which is one as well. A look at each page of a large frame: orq $0, (%rsp).
LANDING = {EM_X86_64: rb'\xf3\x0f\x1e\xfa', EM_AARCH64: rb'\x5f\x24\x03\xd5|\x3f\x23\x03\xd5'}
STACK_PROBE = {EM_X86_64: rb'\x48\x83\x0c\x24\x00', EM_AARCH64: rb'\xff\x03\x20\xf9|\xff\x03\x02\xf9|\xff\x03..\xf8'}


class Elf:
    """A 64-bit little-endian program file: as much of it as is asked for here."""

    def __init__(self, path: pathlib.Path) -> None:
        self.bytes = path.read_bytes()
        assert self.bytes[:6] == b'\x7fELF\x02\x01', 'no 64-bit little-endian ELF file'
        self.type, self.machine = struct.unpack_from('<HH', self.bytes, 16)
        (start,) = struct.unpack_from('<Q', self.bytes, 32)
        size, count = struct.unpack_from('<HH', self.bytes, 54)
        # type, flags, offset, address, physical address, bytes in the file, bytes in memory
        self.segments = [struct.unpack_from('<IIQQQQQ', self.bytes, start + i * size) for i in range(count)]
        self.dynamic = {}
        for at in self.of_type(PT_DYNAMIC):
            for tag, value in struct.iter_unpack('<QQ', self.bytes[at[2] : at[2] + at[5]]):
                self.dynamic.setdefault(tag, value)

    def of_type(self, wanted: int) -> list[tuple]:
        return [segment for segment in self.segments if segment[0] == wanted]

    def offset(self, address: int) -> int:
        return next(s[2] + address - s[3] for s in self.of_type(PT_LOAD) if s[3] <= address < s[3] + s[5])

    def imports(self) -> set[str]:
        """Names of the functions it takes from libraries; they are all in the table of strings of the dynamic linker."""
        at = self.offset(self.dynamic[DT_STRTAB])
        return {name.decode() for name in self.bytes[at : at + self.dynamic[DT_STRSZ]].split(b'\0')}

    def code(self) -> bytes:
        return b''.join(self.bytes[s[2] : s[2] + s[5]] for s in self.of_type(PT_LOAD) if s[1] & X)

    def occurrences(self, patterns: dict[int, bytes]) -> int:
        return len(re.findall(patterns[self.machine], self.code(), re.S))


def is_bound_at_start(elf: Elf) -> bool:
    return bool(elf.dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW or elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW)


def addresses_are_read_only(elf: Elf) -> bool:
    """Full RELRO: all is bound at the start, and the table of addresses lies in what is made read-only then."""
    table = elf.dynamic.get(DT_PLTGOT)
    covered = any(table is None or s[3] <= table < s[3] + s[6] for s in elf.of_type(PT_GNU_RELRO))
    return is_bound_at_start(elf) and covered


def is_position_independent(elf: Elf) -> bool:
    return elf.type == ET_DYN and bool(elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_PIE)


def stack_is_no_code(elf: Elf) -> bool:
    return bool(elf.of_type(PT_GNU_STACK)) and not any(s[1] & X for s in elf.of_type(PT_GNU_STACK))


def nothing_is_written_and_run(elf: Elf) -> bool:
    return not any(s[1] & X and s[1] & W for s in elf.of_type(PT_LOAD) + elf.of_type(PT_GNU_STACK))


def stacks_are_protected(elf: Elf) -> bool:
    return '__stack_chk_fail' in elf.imports()


def copies_are_checked(elf: Elf) -> bool:
    return {'__memcpy_chk', '__snprintf_chk'} <= elf.imports()


def large_frames_are_probed(elf: Elf) -> bool:
    return elf.occurrences(STACK_PROBE) > 0


def jumps_have_landings(elf: Elf) -> bool:
    return elf.occurrences(LANDING) > 50


def brings_no_paths(elf: Elf) -> bool:
    """Neither libraries from other places than the system's, nor code that is written to when it is loaded."""
    tags = elf.dynamic.keys() & {DT_RPATH, DT_RUNPATH, DT_TEXTREL}
    return not tags and not elf.dynamic.get(DT_FLAGS, 0) & DF_TEXTREL


LOOKS = [
    addresses_are_read_only, is_position_independent, stack_is_no_code, nothing_is_written_and_run, stacks_are_protected,
    copies_are_checked, large_frames_are_probed, jumps_have_landings, brings_no_paths,
]  # fmt: skip


def settings() -> dict:
    cache = harness.DIPLEX.parent / 'CMakeCache.txt'  # none beside an installed program, which is what is shipped
    return dict(re.findall(r'^(\w+):\w+=(.*)$', cache.read_text(), re.M)) if cache.exists() else {}


@pytest.fixture(scope='module')
def shipped():
    if settings().get('DIPLEX_HARDEN', 'ON') != 'ON':
        pytest.skip(f'{harness.DIPLEX} is not built as it is shipped: see the first lines of this file')
    return Elf(harness.DIPLEX)


@pytest.mark.parametrize('look', LOOKS, ids=lambda look: look.__name__)
def test_what_is_shipped_is_hardened(shipped, look):
    assert look(shipped)


def test_every_file_was_compiled_so(shipped):
    """What leaves no mark of its own in the file: the third level of _FORTIFY_SOURCE looks into blocks of unknown size."""
    commands = harness.DIPLEX.parent / 'compile_commands.json'
    if not commands.exists():
        pytest.skip('needs the build beside the program')
    known = [flag for name, flag in [
        ('DIPLEX_HAVE_FORTIFY_3', '-D_FORTIFY_SOURCE=3'),
        ('DIPLEX_HAVE_STACK_CLASH', '-fstack-clash-protection'),
        ('DIPLEX_HAVE_CF_PROTECTION', '-fcf-protection'),
        ('DIPLEX_HAVE_BRANCH_PROTECTION', '-mbranch-protection=standard'),
    ] if settings().get(name) in ('1', 'TRUE')]  # fmt: skip
    assert '-D_FORTIFY_SOURCE=3' in known and '-fstack-clash-protection' in known, 'gcc 12 and clang 14 have them'
    files = json.loads(commands.read_text())
    assert len(files) > 50
    for file in files:
        words = file['command'].split()
        for flag in ['-fstack-protector-strong', *known]:
            assert flag in words, (file['file'], flag)
        assert words.count('-fPIE') + words.count('-fPIC') > 0, file['file']


# ---- the looks see -------------------------------------------------------------------------------------------------

SOFT = r"""
#include <stdio.h>
#include <string.h>
void take(char *);
void take(char *p) { if (p) puts(p); }
int main(int argc, char **argv)
{
    char large[1 << 16], copy[64];
    memcpy(copy, argv[0], (size_t)argc);
    snprintf(large, (size_t)argc, "%s", argv[0]);
    take(large);
    take(copy);
    return 0;
}
"""
WITHOUT = [
    '-O2', '-fno-pie', '-no-pie', '-fno-stack-protector', '-fno-stack-clash-protection', '-U_FORTIFY_SOURCE',
    '-Wl,-z,norelro', '-Wl,-z,lazy', '-Wl,-z,execstack', '-Wl,-rpath,/nowhere',
]  # fmt: skip


@pytest.fixture(scope='module')
def soft(tmp_path_factory):
    if not shutil.which('cc'):
        pytest.skip('needs a C compiler')
    directory = tmp_path_factory.mktemp('soft')
    (directory / 'soft.c').write_text(SOFT)
    done = subprocess.run(
        ['cc', *WITHOUT, '-o', directory / 'soft', directory / 'soft.c'], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return Elf(directory / 'soft')


@pytest.mark.parametrize('look', LOOKS, ids=lambda look: look.__name__)
def test_a_soft_program_is_seen(soft, look):
    assert not look(soft)
