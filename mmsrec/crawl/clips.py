"""The videos of a corpus of clips: from a folder, an archive or the web, under one ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from mmsrec.crawl.crawl_run import settle_all
from mmsrec.crawl.images import CONNECTIONS, wanted_urls
from mmsrec.crawl.local_media import collect, file_reader, member_reader
from mmsrec.crawl.media_kinds import VIDEOS
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.outcome import Entry
from mmsrec.crawl.worker import MediaCrawl
from mmsrec.settings.corpora import ClipCorpus, split_archive
from mmsrec.settings.crawling import PICTURE_RULES, Crawl
from mmsrec.sources.archive import open_members


def collect_clips(
    items: pa.Table, folder: Path, corpus: ClipCorpus, policy: Crawl, root: Path, *, connections: int = CONNECTIONS
) -> Counter[str]:
    """Fetches or copies every clip's video and seals the ledger.

    Videos of the web that are there already are not asked for again; those of a folder or an archive are read anew.

    Args:
        items: columns item_id and media_url, as `sources.clips.ingest_clips` writes them.
        folder: gets ledger.parquet, the log it is sealed from, and the videos below files/.
        corpus: the corpus' row.
        policy: what is asked for, how fast, and what is respected; the bound of a video's size is the corpus' own.
        root: folder that paths are below.
        connections: requests at a time, over all hosts.

    Returns:
        The number of clips in each state.

    Raises:
        ArchiveError: the archive is missing, damaged or unsafe.
        DataError: two clips have the same id.
        ArtifactError: the folder's log is damaged.
    """
    policy = policy.model_copy(update={"max_bytes": corpus.max_bytes})
    wanted = wanted_urls(items.select(["item_id", "media_url"]).rename_columns(["item_id", "url"]))
    archive, member = split_archive(corpus.videos)

    def from_web(urls: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        return MediaCrawl(policy, store, VIDEOS).run(urls, connections)

    def from_archive(paths: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        inside = {item: path and split_archive(path)[1] for item, path in paths.items()}
        with open_members(root / archive) as members:
            yield from collect(inside, member_reader(members, policy.max_bytes), policy, store, VIDEOS)

    def from_folder(paths: Mapping[str, str | None], store: Store) -> Iterator[Entry]:
        return collect(paths, file_reader(root, policy.max_bytes), policy, store, VIDEOS)

    local = from_archive if member else from_folder
    settle = from_web if corpus.is_web else local
    return settle_all(wanted, folder, policy.model_dump_json(include=PICTURE_RULES), settle, anew=not corpus.is_web)
