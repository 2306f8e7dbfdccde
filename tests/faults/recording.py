"""
A layer under SQLite that writes down what reaches the operating system, and in which order.

SQLite lets a program stand between itself and its files ("VFS"). This one is made of ctypes: it
passes every call to the usual one, and keeps a copy of the writes, truncations, syncs and
deletions. From them a test can build any disk that a power cut could have left behind. It can also
refuse them, as a disk does that is full or broken.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from dataclasses import dataclass
from pathlib import Path

OK, FULL, IOERR_FSYNC = 0, 13, 10 | 4 << 8
_NAME = b"recording"


class _Vfs(ctypes.Structure):
    """The head of sqlite3_vfs; what follows is copied as it is."""


_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_void_p,
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
_CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)

_Vfs._fields_ = [
    ("iVersion", ctypes.c_int),
    ("szOsFile", ctypes.c_int),
    ("mxPathname", ctypes.c_int),
    ("pNext", ctypes.c_void_p),
    ("zName", ctypes.c_char_p),
    ("pAppData", ctypes.c_void_p),
    ("xOpen", _OPEN),
    ("xDelete", _DELETE),
    ("others", ctypes.c_void_p * 14),
]


class _Methods(ctypes.Structure):
    """sqlite3_io_methods."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("xClose", _CLOSE),
        ("xRead", ctypes.c_void_p),
        ("xWrite", _WRITE),
        ("xTruncate", _TRUNCATE),
        ("xSync", _SYNC),
        ("others", ctypes.c_void_p * 13),
    )


class _File(ctypes.Structure):
    """sqlite3_file: what each VFS keeps of an open file begins with its methods."""

    _fields_ = (("pMethods", ctypes.POINTER(_Methods)),)


@dataclass(frozen=True)
class Write:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    path: str
    size: int


@dataclass(frozen=True)
class Sync:
    path: str


@dataclass(frozen=True)
class Delete:
    path: str
    durable: bool


@dataclass(frozen=True)
class Said:
    """Something that the test wants to know the moment of."""

    what: object


class Recording:
    """
    Registers itself with SQLite; `connection` is a class of connections that go through it.

    Attributes:
        events: what happened to the files.
        refuse: asked before each write ("write") and sync ("sync"); another number than OK is the
            error that SQLite gets instead.

    Raises:
        OSError, AttributeError: this SQLite can not be reached, as where it is linked statically
            without its symbols.
    """

    def __init__(self):
        self.events = []
        self.refuse = lambda kind: OK
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        library.sqlite3_vfs_register.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.sqlite3_vfs_unregister.argtypes = [ctypes.c_void_p]
        self._library = library
        self._usual = library.sqlite3_vfs_find(None)
        self._vfs = _Vfs.from_buffer_copy(self._usual.contents)
        self._vfs.pNext, self._vfs.zName = None, _NAME
        self._vfs.xOpen, self._vfs.xDelete = _OPEN(self._open), _DELETE(self._delete)
        self._paths = {}  # by address of the open file
        self._methods = {}  # by address of the usual methods: ours, and the usual ones
        library.sqlite3_vfs_register(ctypes.byref(self._vfs), 0)

    def close(self):
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    @property
    def connection(self):
        class Recorded(sqlite3.Connection):
            def __init__(self, address, *arguments, **options):
                address += f"&vfs={_NAME.decode()}"
                super().__init__(address, *arguments, **options)

        return Recorded

    def say(self, what):
        self.events.append(Said(what))

    def _open(self, vfs, name, file, flags, out_flags):
        usual = self._usual.contents
        result = usual.xOpen(ctypes.addressof(usual), name, file, flags, out_flags)
        opened = _File.from_address(file)
        if result == OK and name and opened.pMethods:
            self._paths[file] = ctypes.string_at(name).decode()
            opened.pMethods = ctypes.pointer(self._around(opened.pMethods))
        return result

    def _around(self, usual):
        """The usual methods, but that those which change a file are recorded."""
        address = ctypes.addressof(usual.contents)
        if address not in self._methods:
            before = usual.contents
            ours = _Methods.from_buffer_copy(before)
            record, paths = self.events.append, self._paths

            def close(file):
                paths.pop(file)
                return before.xClose(file)

            def write(file, data, size, offset):
                if error := self.refuse("write"):
                    return error
                record(Write(paths[file], offset, ctypes.string_at(data, size)))
                return before.xWrite(file, data, size, offset)

            def truncate(file, size):
                record(Truncate(paths[file], size))
                return before.xTruncate(file, size)

            def sync(file, flags):
                if error := self.refuse("sync"):
                    return error
                record(Sync(paths[file]))
                return before.xSync(file, flags)

            ours.xClose, ours.xWrite = _CLOSE(close), _WRITE(write)
            ours.xTruncate, ours.xSync = _TRUNCATE(truncate), _SYNC(sync)
            self._methods[address] = ours, before
        return self._methods[address][0]

    def _delete(self, vfs, name, sync_folder):
        self.events.append(Delete(name.decode(), bool(sync_folder)))
        usual = self._usual.contents
        return usual.xDelete(ctypes.addressof(usual), name, sync_folder)


SECTOR = 512  # bytes that a disk writes whole, or not at all


class Disk:
    """
    The files as the events leave them when the power fails.

    What was synced is there. Of what was not, each write may have happened, or not, or in part,
    whatever came before or after it.
    """

    def __init__(self):
        self._durable = {}  # path: bytes
        self._waiting = {}  # path: events since its last sync

    def apply(self, event):
        """Go on by one event."""
        if isinstance(event, Said):
            return
        waiting = self._waiting.setdefault(event.path, [])
        if isinstance(event, Sync) or (isinstance(event, Delete) and event.durable):
            content = self._durable.get(event.path, bytearray())
            for each in waiting:
                content = _changed(content, each)
            self._durable[event.path] = content
            waiting.clear()
            if isinstance(event, Delete):
                self._durable[event.path] = None
        else:
            waiting.append(event)

    def fail(self, chance, folder):
        """Write the files that a power cut leaves now into a folder."""
        for path in {*self._durable, *self._waiting}:
            content = self._durable.get(path)
            content = None if content is None else bytearray(content)
            for event in self._waiting.get(path, ()):
                content = _perhaps(content, event, chance)
            if content is not None:
                (folder / Path(path).name).write_bytes(content)


def _changed(content, event):
    """A file's content after an event; None: there is no file."""
    if isinstance(event, Delete):
        return None
    content = bytearray() if content is None else content
    if isinstance(event, Truncate):
        del content[event.size :]
        content.extend(bytes(event.size - len(content)))
    else:
        content.extend(bytes(max(0, event.offset + len(event.data) - len(content))))
        content[event.offset : event.offset + len(event.data)] = event.data
    return content


def _perhaps(content, event, chance):
    """The same, where the power may have failed before, while or after it happened."""
    fate = chance.random()
    if fate < 0.4:
        return _changed(content, event)
    if fate < 0.7 or not isinstance(event, Write):
        return content
    for at in range(0, len(event.data), SECTOR):
        if chance.random() < 0.5:
            part = Write(event.path, event.offset + at, event.data[at : at + SECTOR])
            content = _changed(content, part)
    return content
