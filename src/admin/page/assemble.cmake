# SPDX-License-Identifier: MIT
#
# Puts the page together: one HTML file with its style and script inside, as C source with its length, its tag and the
# policy under which a browser may show it. Run by the build: cmake -DFROM=src/admin/page -DTO=page.c -P assemble.cmake
# Indentation and lines of comment stay behind; nothing else is changed, so what is read there is what runs.

cmake_minimum_required(VERSION 3.18)

set(SCRIPTS text.js plot.js slots.js tables.js actions.js page.js)

function(read_bare name out)
    file(READ ${FROM}/${name} text)
    string(REGEX REPLACE "(^|\n)[ ]*//[^\n]*" "" text "${text}")
    string(REGEX REPLACE "\n[ \n]+" "\n" text "${text}")
    set(${out} "${text}" PARENT_SCOPE)
endfunction()

# As a policy names a script: SHA-256 in base64. Six hexadecimal digits are four characters.
function(hash_of text out)
    set(alphabet ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
    string(SHA256 hex "${text}")
    string(APPEND hex 00)
    set(base64)
    foreach(at RANGE 0 60 6)
        string(SUBSTRING ${hex} ${at} 6 part)
        foreach(shift 18 12 6 0)
            math(EXPR index "(0x${part} >> ${shift}) & 63")
            string(SUBSTRING ${alphabet} ${index} 1 character)
            string(APPEND base64 ${character})
        endforeach()
    endforeach()
    string(SUBSTRING ${base64} 0 43 base64)
    set(${out} "${base64}=" PARENT_SCOPE)
endfunction()

read_bare(index.html html)
read_bare(page.css style)
set(script "'use strict';\n")
foreach(name IN LISTS SCRIPTS)
    read_bare(${name} part)
    string(APPEND script "${part}\n")
endforeach()
hash_of("${style}" style_hash)
hash_of("${script}" script_hash)
string(REPLACE "@STYLE@" "${style}" html "${html}")
string(REPLACE "@SCRIPT@" "${script}" html "${html}")
string(SHA256 tag "${html}")
string(SUBSTRING ${tag} 0 16 tag)

file(WRITE ${TO}.html "${html}")
file(READ ${TO}.html hex HEX)
string(LENGTH "${hex}" n)
math(EXPR n "${n} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," hex "${hex}")
file(WRITE ${TO} "/* Made of src/admin/page by assemble.cmake. */
#include \"admin/page.h\"

const size_t page_html_n = ${n};
const char page_tag[] = \"\\\"${tag}\\\"\";
const char page_policy[] = \"default-src 'none'; script-src 'sha256-${script_hash}'; style-src 'sha256-${style_hash}'; \"
    \"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \"
    \"require-trusted-types-for 'script'; trusted-types 'none'\";
const char page_html[] = {
${hex}
};
")
