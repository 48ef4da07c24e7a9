"""WebDataset: tars of which consecutive members of one key are a sample, plain or compressed (gzip, zstd, bz2, xz).

- A member's key is its name, folders included, up to the first dot behind the last slash; its extension is the rest,
  in lower case: `train/0001.seg.PNG` is `seg.png` of the sample `train/0001`. Members that are no files, that have no
  dot or begin with one, and what lies in folders such as `__index__` belong to no sample. A key that comes again later
  begins another sample. All of this is as the library webdataset does it.
- The first key of a path names an extension, the keys behind it lead into the JSON of that member: `jpg`,
  `json.width`. `jpg;png` is the first of these that a sample has; an extension with a dot stands in quotes,
  `"seg.png"`; `__key__` is the key.
- Content out of JSON, and of members of text, is delivered as strings; that of all others as bytes, as they stand.
  Members of text are `txt`, `text`, `transcript`, `caption`, `title`, `prompt`, `html`, `md`, `tex`, `xml`, `csv`,
  `tsv`, `srt`, `vtt`, `url`, `json`, `jsn`, `jsonl`, `cls`, `cls2`, `class`, `label`, `lang`, `count`, `index`, `inx`,
  `id`, also behind another dot (`en.txt`).
- A property may be a key of a JSON member, the elements of a list in one (`json.tags[*].name`), or a small member of
  its own: `cls`, of which `7` is an int64; `txt` is a string, without the line end at its end. A member that a sample
  lacks is NULL.
- A sample is one range of bytes, from its first header to the end of its last member, and is read alone; the index
  reads headers and the members that it needs, and passes over the others. A compressed file is decompressed once per
  process into a temporary file (`MIXTERA_SPOOL` says where).
- Long names of GNU and PAX, prefixes of ustar, sizes in binary, tars of 1979. No GNU sparse files, no archives of more
  than one volume.
- Bad samples: content whose member is missing, there twice, a link, or larger than 1 GiB; text that is not UTF-8; JSON
  that is malformed; a value that is not of the property's type.
- Refused as a whole: a tar cut short (also one without the zeros that end it), one with something behind its end (so
  tars joined with `cat`), and one with a broken header.
"""

from __future__ import annotations

from mixtera.formats.webdataset.format import WebDataset

__all__ = ["WebDataset"]
