"""Pieces of JSON that are likely to be misread, by kind, for `hostile_json`.

In templates @ stands for the text of the valid value (what is between its quotes, or the number)
and # for the value as it is written.
"""

from __future__ import annotations

import codecs

# In place of a value.
LITERALS = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "-0.0", "1.0", "1.5"),
    *("20.0", "1E5", "0x1f", "01", "+1", ".5", "5.", "1_000", "２０", "1,5", "-1"),
    *(str(2**31 - 1), str(2**31), str(-(2**31) - 1), str(2**53 + 1), str(2**63 - 1)),
    *(str(2**63), str(-(2**63) - 1), str(2**64), str(10**30)),
    *('"20"', '" 20 "', '"２０"', '"٢٠"', '"²"', '"20.0"', '"1e2"', '"1_000"', '"0x1f"', '"nan"'),
    *('"-Infinity"', '"+20"', '"020"', '"1e400"', '"true"'),
]
NUMBERS = {f"number: {one}": one.encode() for one in LITERALS} | {
    "number: 5000 digits": b"9" * 5000
}
OF_NUMBERS = {
    "number: its own, as text": b'"@"',
    "number: its own, as text in blanks": b'" @ "',
    "number: its own, as text with .0": b'"@.0"',
    "number: its own, as text with a newline": b'"@\\n"',
    "number: its own, with .0": b"@.0",
    "number: its own, with e0": b"@e0",
    "number: its own, with +": b"+@",
    "number: its own, after 0": b"0@",
}
STRINGS = {
    "text: empty": b'""',
    "text: blanks": b'"  "',
    "text: in blanks": b'" @ "',
    "text: twice": b'"@@"',
    "text: newline after": b'"@\\n"',
    "text: CR LF after": b'"@\\r\\n"',
    "text: NUL, escaped": b'"@\\u0000"',
    "text: NUL, raw": b'"@\0"',
    "text: only NUL": b'"\\u0000"',
    "text: control, escaped": b'"@\\u001b[31m"',
    "text: control, raw": b'"@\x1b[31m"',
    "text: newline, raw": b'"@\n"',
    "text: DEL": b'"@\x7f"',
    "text: high surrogate": b'"@\\ud800"',
    "text: low surrogate": b'"\\udc00@"',
    "text: only a surrogate": b'"\\ud800"',
    "text: surrogates reversed": b'"@\\udc00\\ud800"',
    "text: surrogates in UTF-8": b'"@\xed\xa0\xbd\xed\xb8\x80"',
    "text: emoji, escaped": b'"@\\ud83d\\ude00"',
    "text: emoji": '"@😀"'.encode(),
    "text: noncharacter": b'"@\\uffff"',
    "text: zero width before": b'"\\u200b@"',
    "text: only zero width": '"\u200b"'.encode(),
    "text: only an ideographic space": '"\u3000"'.encode(),
    "text: byte order mark inside": b'"@\\ufeff@"',
    "text: right to left": '"@\u202egpj"'.encode(),
    "text: line separator": '"@\u2028"'.encode(),
    "text: next line": b'"@\\u0085"',
    "text: composed": '"@\u00e9"'.encode(),
    "text: decomposed": '"@e\u0301"'.encode(),
    "text: look-alike": '"\u0430@"'.encode(),  # the Cyrillic a
    "text: dotted capital I": '"@\u0130"'.encode(),  # two characters in lower case
    "text: ligature": '"@\ufb03"'.encode(),
    "text: 1000 combining marks": '"@{}"'.format("\u0301" * 1000).encode(),
    "text: 1000 characters": b'"%b"' % (b"a" * 1000),
    "text: escape unknown": b'"@\\x41"',
    "text: escape unfinished": b'"@\\u00"',
    "text: no end": b'"@',
    "text: single quotes": b"'@'",
    "text: no quotes": b"@",
    "text: overlong UTF-8": b'"@\xc0\xaf"',
    "text: 0xff": b'"@\xff"',
    "text: Latin-1": b'"@\xe9"',
    "text: markup": b'"@<script>alert(1)</script>"',
    "text: SQL": b'"@\'; DROP TABLE x; --"',
}
TYPES = {
    f"type: {one}": one.encode()
    for one in ("null", "true", "false", "0", "[]", "{}", "[[]]", "undefined")
} | {"type: nothing": b"", "type: in a list": b"[#]", "type: in an object": b'{"value": #}'}
# In one field only, for their size.
IN_ONE_FIELD = {
    "text: 1 MiB": b'"%b"' % (b"a" * 2**20),
    "depth: 100 lists in a field": b"[" * 100 + b"]" * 100,
    "depth: 2000 lists in a field": b"[" * 2000 + b"]" * 2000,
    "depth: 100000 lists in a field": b"[" * 100_000 + b"]" * 100_000,
    "depth: 2000 objects in a field": b'{"":' * 2000 + b"0" + b"}" * 2000,
    "depth: 100000 objects in a field": b'{"":' * 100_000 + b"0" + b"}" * 100_000,
    "type: a list of 10000": b"[%b0]" % (b"0," * 9999),
}
VALUES = NUMBERS | OF_NUMBERS | STRINGS | TYPES | IN_ONE_FIELD

# In place of a key and its value: @ is the key, ~ the key escaped, ^ the key in the other case.
KEYS = {
    "key: missing": b"",
    "key: twice, null first": b'"@": null, "@": #',
    "key: twice, null last": b'"@": #, "@": null',
    "key: twice, 0 first": b'"@": 0, "@": #',
    "key: twice, 0 last": b'"@": #, "@": 0',
    "key: twice, NaN first": b'"@": NaN, "@": #',
    "key: twice, surrogate first": b'"@": "\\ud800", "@": #',
    "key: escaped": b'"~": #',
    "key: twice, escaped last": b'"@": #, "~": null',
    "key: in the other case": b'"^": #',
    "key: twice, in the other case last": b'"@": #, "^": null',
    "key: blank after": b'"@ ": #',
    "key: NUL after": b'"@\\u0000": #',
    "key: zero width after": b'"@\\u200b": #',
    "key: single quotes": b"'@': #",
    "key: no quotes": b"@: #",
    "key: no colon": b'"@" #',
    "key: equals sign": b'"@" = #',
    "key: no value": b'"@"',
    "key: comma twice": b'"@": #,',
}

# In place of the document, for which # stands.
DOCUMENTS = {
    f"document: {one!r}": one.encode()
    for one in ("", "  ", "null", "true", "1", "NaN", "Infinity", "1e400", '"x"', "[]", "{}")
} | {
    "document: surrogate": b'"\\ud800"',
    "document: 5000 digits": b"9" * 5000,
    "document: NUL": b"\0",
    "document: {'x': NaN}": b'{"x": NaN}',
    "document: in a list": b"[#]",
    "document: in an object": b'{"document": #}',
    "document: in blanks": b" \r\n\t#\n",
    "document: after a no-break space": "\u00a0#".encode(),
    "document: after a form feed": b"\f#",
    "document: twice": b"##",
    "document: twice, on two lines": b"#\n#",
    "document: brace after": b"#}",
    "document: NUL after": b"#\0",
    "document: comment before": b"/* comment */ #",
    "document: comment after": b"# // comment",
    "document: guarded": b")]}',\n#",
    "document: a form": b"a=1&b=2",
    "depth: 100 lists": b"[" * 100 + b"]" * 100,
    "depth: 2000 lists": b"[" * 2000 + b"]" * 2000,
    "depth: 100000 lists": b"[" * 100_000 + b"]" * 100_000,
    "depth: 100000 lists without end": b"[" * 100_000,
    "depth: 2000 objects": b'{"":' * 2000 + b"0" + b"}" * 2000,
    "depth: 100000 objects": b'{"":' * 100_000 + b"0" + b"}" * 100_000,
}
# In place of its last brace.
ENDS = {
    "key: unknown": b', "unknown": 1}',
    "key: empty": b', "": 1}',
    "key: unknown, NaN": b', "unknown": NaN}',
    "key: unknown, surrogate": b', "unknown": "\\ud800"}',
    "key: a surrogate": b', "\\ud800": 1}',
    "key: 0xff": b', "\xff": 1}',
    "key: a number": b", 1: 1}",
    "key: __proto__": b', "__proto__": {"admin": true}}',
    "key: __class__": b', "__class__": "x", "__init__": {"__globals__": {}}}',
    "key: 10000 unknown": b"".join(b', "k%d": 0' % number for number in range(10_000)) + b"}",
    "key: 1000 times the same": b', "k": 0' * 1000 + b"}",
    "key: comma after": b",}",
    "key: brace missing": b"",
}
# Of the whole document: what comes before it, and the codec.
ENCODINGS = {
    "encoding: UTF-8 after its mark": (codecs.BOM_UTF8, "utf-8"),
    "encoding: UTF-16 LE": (b"", "utf-16-le"),
    "encoding: UTF-16 BE": (b"", "utf-16-be"),
    "encoding: UTF-16 LE after its mark": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "encoding: UTF-16 BE after its mark": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "encoding: UTF-32 LE": (b"", "utf-32-le"),
    "encoding: UTF-32 BE after its mark": (codecs.BOM_UTF32_BE, "utf-32-be"),
}
