"""Strings that have broken something somewhere, by category. Written for this suite."""

TEXTS = {
    "nothing much": ["0", " x ", "\tx", "x\n", "\n\nx\n\n", "undefined", "null", "NaN", "true", "None", "-", "--", "[object Object]"],
    "numbers": ["0", "-0", "1e309", "-1e309", "0x7fffffff", "9007199254740993", "18446744073709551616", "1/0", "١٢٣", "1,000.00",
                "0.30000000000000004", "08", "1_000", "∞"],
    "punctuation": ["'", '"', "`", "\\", "\\\\", "''''\"", "<>?:\"{}|_+", ",./;'[]\\-=", "!@#$%^&*()`~", "\\u0000", "\\x41", "%s%n%d",
                    "%00", "$(echo x)", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>"],
    "control": ["a\x00b", "a\x01\x02\x03b", "a\x07b", "a\x08\x08b", "a\x0bb\x0cc", "a\x1b[31mred\x1b[0m", "a\x1b]0;title\x07b", "a\x7fb",
                "a\u0080\u009fb", "a\u0085b", "line\u2028separator", "para\u2029graph", "a\r\nb", "a\rb", "a\n\n\nb"],
    "log injection": ["x\n2026-01-01T00:00:00.000Z ERROR [kith] forged", "x\r\nINFO forged", "x\u0085INFO forged", "x\u2028INFO forged",
                      "x\x1b[2K\x1b[1GINFO forged", "seq=999 who=\"root\""],
    "invisible": ["a\u200bb", "a\u200db", "a\u200eb", "a\ufeffb", "\u00adsoft", "a\u2060b", "\u3164", "\U000e0041\U000e0042", "a\ufe0fb",
                  "a\u034fb"],
    "direction": ["\u202egnp.exe", "\u202dabc", "\u2066abc\u2069", "عربى mixed עברית", "\u061ca", "abc\u202etxt.\u202dexe"],
    "scripts": ["Ω≈ç√∫˜µ≤≥÷", "åß∂ƒ©˙∆˚¬…æ", "田中さんにあげて下さい", "사회과학원", "ЁЂЃЄЅІЇ", "Ⱥ ȺȾ", "ثم نفس سقطت", "בְּרֵאשִׁית", "ภาษาไทย", "हिन्दी",
                "ꙮ", "𝕋𝕙𝕖 𝕢𝕦𝕚𝕔𝕜", "🏳️‍🌈", "👩🏽‍🚀", "🇺🇳🇺", "👾 🙇 💁 🙅", "１２３", "ﷺ", "﷽", "İıſß"],
    "combining": ["e\u0301", "\u0301", "Z" + "\u0335\u0348\u0321" * 40 + "algo", "가\u11a8", "\u1112\u1161\u11ab"],
    "edges of UTF-8": ["\u007f", "\u0080", "\u07ff", "\u0800", "\ufffd", "\uffff", "\U00010000", "\U0010ffff", "\ud7ff", "\ue000",
                       "\ufdd0"],
    "SQL": ["'; DROP TABLE entries;--", "' OR 1=1 -- 1", "1;SELECT pg_sleep(10)", "%", "_", "a%b_c", "' UNION SELECT NULL--", "\\'; --",
            "x' AND randomblob(1000000000) --", "]]>"],
    "markup": ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "<svg/onload=alert(1)>",
               "\"><script>alert(1)</script>", "</textarea><script>alert(1)</script>", "<a href=\"data:text/html,x\">x</a>", "<!--", "-->",
               "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "&lt;&amp;&#x41;",
               "<iframe srcdoc='x'>", "<style>*{display:none}</style>"],
    "files and shells": ["../../../../etc/passwd", "..\\..\\windows\\win.ini", "/dev/null; touch /tmp/x", "$HOME", "`id`", "| ls", "CON", "NUL",
                         "file:///etc/passwd", "() { :;}; echo x"],
    "looks like ours": ['{"id":1,"exit":{}}', '{"entry":{"seq":"1"}}', "lobby", "u:1", "g:1", "a:b:c", "\x88\x02\x03\xe8", "\x81\x02{}"],
    "long": ["x" * 65_536, "é" * 32_768, "😀" * 16_384, "\x01" * 13_000, "\n" * 1000 + "x", '"' * 40_000],
}

# What a name has to become: itself, another spelling of itself, or nothing.
NAMES = {
    "alice": "alice", "  alice ": "alice", "Ａlice": "Alice", "ﬁ": "fi", "é": "é", "e\u0301": "é", "田中さん": "田中さん", "a b": "a b",
    "O'Brien": "O'Brien", "%s": "%s", "<b>": "<b>", "'; DROP TABLE people;--": "'; DROP TABLE people;--", "../../x": "../../x",
    "null": "null", "x" * 32: "x" * 32, "🦀": "🦀", "Ω": "Ω", "Ⅳ": "IV", "%2e": "%2e",
    "": None, " ": None, "\u00a0": None, "\u3000": None, "a  b": None, "a:b": None, "x" * 33: None, "a\nb": None, "a\rb": None,
    "a\tb": None, "a\x00b": None, "a\x1b[31m": None, "\u202eevil": None, "a\u200bb": None, "\ufeffa": None, "a\u2028b": None,
    "\u3164": None, "\U000e0041": None, "a\u00adb": None, "\ue000": None, "\uffff": None, "x" * 5000: None, "a\u0085b": None,
}

# Two spellings of one name: whoever comes second is refused.
SAME = [("alice", "ALICE"), ("straße", "STRASSE"), ("Ａnna", "anna"), ("é", "E\u0301"), ("ſam", "SAM"), ("Ⅳ", "iv"), ("bob", " Bob ")]
