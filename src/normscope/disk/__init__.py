"""The disk: files that appear whole or not at all, that are read without trust, and whose every byte is checked.

- :mod:`~normscope.disk.atomic` writes files and makes folders; what has its name is complete and survives a power cut.
- :mod:`~normscope.disk.reading` opens regular files only, never through a link.
- :mod:`~normscope.disk.sealing` writes and reads JSON with a checksum, :mod:`~normscope.disk.tables` Parquet.
- :mod:`~normscope.disk.aside` moves damaged files out of the way.
- :mod:`~normscope.disk.locks` has the locks of the operating system.

Two kinds of failure are kept apart. A :class:`~normscope.errors.DamagedError` says that a file's content is not what
was written: the file is set aside and made again. An :class:`OSError` or a :class:`MemoryError` says that it cannot be
read now: it stays where it is.
"""
