"""Records of delimited text with a header row (CSV, TSV), plain or compressed (gzip, zstd, bz2, xz, lz4).

- The first record names the fields; a name may stand in quotes. Names must differ; a field without a name cannot be
  asked for. A file without a single byte has no records.
- Quoting is that of RFC 4180: a field in double quotes may hold delimiters, line ends and doubled quotes. The delimiter
  is that of the suffix (`.csv` a comma, `.tsv` a tab) where the header holds it, else the only one of comma, semicolon
  and tab that it holds.
- Records end with a newline, a carriage return before it counts to it. A UTF-8 byte order mark is passed over. Blank
  lines are no samples.
- An empty field is NULL. So is an empty quoted one, but for strings: `""` is a text without characters.
- Types that are guessed: int64, float64, bool (`true`, `false`), date, timestamp, string. Numbers with leading zeros
  are strings. A field holds no list.
- Bad samples: another number of fields than the header, a quote inside an unquoted field or text after a closing one, a
  quote that is never closed, a NUL byte, a carriage return alone, invalid UTF-8, a value that is not of the property's
  type, content that is empty.
"""

from __future__ import annotations

from mixtera.formats.csv.format import Csv

__all__ = ["Csv"]
