"""The videos of a corpus of clips, from a folder, an archive or the web, with one ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from mmsrec.crawl.crawl_run import run_crawl
from mmsrec.crawl.entry import Entry
from mmsrec.crawl.images import CONNECTIONS, rules_of, urls_by_item
from mmsrec.crawl.local_media import collect, file_reader, member_reader
from mmsrec.crawl.media_kinds import VIDEOS
from mmsrec.crawl.media_store import Store
from mmsrec.crawl.worker import MediaCrawl
from mmsrec.settings.corpora import ClipCorpus, split_archive
from mmsrec.settings.crawling import Crawl
from mmsrec.sources.archive import open_members


def collect_clips(
    items: pa.Table, folder: Path, corpus: ClipCorpus, policy: Crawl, root: Path, *, connections: int = CONNECTIONS
) -> Counter[str]:
    """Fetches or copies every clip's video, then writes the ledger of all clips.

    A second call does not fetch finished videos from the web again. It reads all videos of a folder or an archive
    again.

    Args:
        items: columns item_id and media_url, as `sources.captions.ingest_clips` writes them.
        folder: receives ledger.parquet, its log, and the videos below files/.
        corpus: the settings of the corpus.
        policy: the rules, bounds and rates of the crawl. `corpus` gives the largest size of a video.
        root: folder of the corpus' paths.
        connections: largest number of simultaneous requests, over all hosts.

    Returns:
        The number of clips in each state.

    Raises:
        ArchiveError: the archive is missing, damaged or unsafe.
        DataError: two clips have the same id.
        ArtifactError: the folder's log is damaged.
    """
    policy = policy.model_copy(update={"max_bytes": corpus.max_bytes})
    requests = urls_by_item(items.select(["item_id", "media_url"]).rename_columns(["item_id", "url"]))
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
    crawler = from_web if corpus.is_web else local
    return run_crawl(requests, folder, rules_of(policy), crawler, repeat_all=not corpus.is_web)
