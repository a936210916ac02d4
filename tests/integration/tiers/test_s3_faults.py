"""An S3 that stops, freezes, lies or is lied to: an outage, soon, or a refusal; never other bytes (PROMISES 3.2)."""

import base64
import hashlib
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import requests
from botocore.exceptions import ClientError

from photoapp.errors import ObjectNotFound, TierUnavailable
from photoapp.tiers.storage.s3 import S3Storage
from photoapp.tiers.testing.storage import submit
from support.forked import forked
from support.versitygw import Versitygw, VersitygwMissingError, s3_unavailable
from support.wait import wait_until

KEY, JPEG = "private/2026/a.jpg", "image/jpeg"
SOON_S = 40
"""What a busy machine may need for calls that wait a second or two; boto3's own minute would be over it."""


@pytest.fixture(scope="module")
def s3() -> Iterator[Versitygw]:
    try:
        server = Versitygw()
    except VersitygwMissingError as error:
        s3_unavailable(str(error))
    yield server
    server.remove()


@pytest.fixture
def made(s3: Versitygw) -> Iterator:
    """Makes tiers whose settings differ from the patient ones."""
    tiers: list[S3Storage] = []

    def make(**changes: object) -> S3Storage:
        tiers.append(S3Storage(s3.settings(**changes)))
        return tiers[-1]

    yield make
    for tier in tiers:
        tier.close()


@pytest.fixture(scope="module")
def client(s3: Versitygw) -> Iterator:
    """One for all tiers of usual settings: it takes half a second to make."""
    tier = S3Storage(s3.settings())
    yield tier._client()
    tier.close()


@pytest.fixture
def tier(s3: Versitygw, client) -> S3Storage:
    """One that keeps to a prefix of its own, with an object in it."""
    tier = S3Storage(s3.settings())
    tier._made = (os.getpid(), client)
    tier.put(KEY, b"kept", content_type=JPEG)
    return tier


@pytest.fixture
def hook() -> Iterator:
    """Listens to a tier's requests until the test is over."""
    hooked: list[tuple] = []

    def register(tier: S3Storage, event: str, handler) -> None:
        events = tier._client().meta.events
        events.register(event, handler)
        hooked.append((events, event, handler))

    yield register
    for events, event, handler in hooked:
        events.unregister(event, handler)


@pytest.fixture
def attempts(hook):
    """A list that grows by the name of each request that the tier sends from now on."""

    def listen(tier: S3Storage) -> list[str]:
        sent: list[str] = []
        hook(tier, "before-send.s3", lambda event_name, **_: sent.append(event_name.split(".")[2]))
        return sent

    return listen


@pytest.fixture
def damage(hook):
    """Changes the bytes of a tier's next uploads behind the client's back, as a broken network card does."""

    def begin(tier: S3Storage, times: int) -> None:
        left = iter(range(times))

        def change(request, **_) -> None:
            if next(left, None) is not None:
                request.body = io.BytesIO(b"X" + request.body.read()[1:])

        hook(tier, "before-send.s3.PutObject", change)

    return begin


def calls(tier: S3Storage) -> list:
    return [
        lambda: tier.put(KEY, b"x" * 100_000, content_type=JPEG),
        lambda: tier.get(KEY),
        lambda: tier.get(KEY, start=1, end=1),
        lambda: tier.stat(KEY),
        lambda: tier.copy(KEY, "private/b"),
        lambda: list(tier.list()),
        lambda: tier.delete(KEY),
    ]


def test_a_server_that_stops_is_an_outage_until_it_is_back(s3, tier):
    s3.stop()
    for call in calls(tier):
        with pytest.raises(TierUnavailable):
            call()
    assert tier.ping(deadline_s=5) is False
    s3.start()

    def works() -> bool:
        try:
            return tier.get(KEY) == b"kept"
        except TierUnavailable:
            return False

    wait_until(works, within_s=30, what="the storage")
    assert tier.ping(deadline_s=10) is True


def test_a_refused_connection_is_tried_again_and_then_the_breaker_opens(s3, tier, attempts):
    sent = attempts(tier)
    s3.stop()
    try:
        for _ in range(3):
            with pytest.raises(TierUnavailable):
                tier.get(KEY)
        assert sent == ["GetObject"] * 9
        for _ in range(5):
            with pytest.raises(TierUnavailable, match="not asked"):
                tier.get(KEY)
        assert len(sent) == 9
    finally:
        s3.start()


def test_a_frozen_server_holds_no_call_beyond_its_budget(s3, made, attempts):
    tier = made(read_timeout_s=0.5, retries=2, budget_s=0.9)
    tier.put(KEY, b"kept", content_type=JPEG)
    sent = attempts(tier)
    ended: list[bool] = []

    def work() -> None:
        for call in calls(tier):
            try:
                call()
            except TierUnavailable:
                ended.append(True)

    s3.signal(signal.SIGSTOP)
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(SOON_S)
        assert len(ended) == len(calls(tier))
        assert len(sent) <= len(ended)  # no call was repeated that could not have ended in time
        assert tier.ping(deadline_s=0.3) is False
    finally:
        s3.signal(signal.SIGCONT)
    wait_until(lambda: tier.ping(deadline_s=5), within_s=30, what="the storage")


def test_bytes_that_are_damaged_on_their_way_are_not_stored(tier, damage):
    damage(tier, times=100)
    with pytest.raises(TierUnavailable):
        tier.put(KEY, b"newer bytes", content_type=JPEG)
    assert tier.get(KEY) == b"kept"


def test_bytes_that_are_damaged_once_are_sent_again(tier, damage):
    damage(tier, times=1)
    tier.put(KEY, b"newer bytes", content_type=JPEG)
    assert tier.get(KEY) == b"newer bytes"


def test_the_server_refuses_a_wrong_checksum(s3, tier):
    digest = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    where = {"Bucket": "photos", "Key": f"{tier.settings.prefix}/{KEY}"}
    client = s3.client()
    with pytest.raises(ClientError, match="BadDigest"):
        client.put_object(**where, Body=b"bytes", ChecksumSHA256=digest)
    client.close()
    assert tier.get(KEY) == b"kept"


def test_a_server_that_does_not_repeat_the_digest_is_read_back(tier, attempts, hook):
    def forget(parsed, **_) -> None:
        parsed.pop("ChecksumSHA256", None)

    sent = attempts(tier)
    hook(tier, "after-call.s3.PutObject", forget)
    tier.put(KEY, b"newer bytes", content_type=JPEG)
    assert sent == ["PutObject", "GetObject"]


def test_bytes_that_rotted_on_the_servers_disk_are_an_outage_and_not_a_photo(s3, tier):
    path = s3.file(tier, KEY)
    with path.open("r+b") as file:  # in place: the checksum is an attribute of the file
        file.write(b"rott")
    with pytest.raises(TierUnavailable, match="Checksum"):
        tier.get(KEY)


def test_a_bucket_that_is_not_there_is_an_outage_and_no_missing_object(made):
    tier = made(bucket="no-such-bucket")
    for call in calls(tier):
        with pytest.raises(TierUnavailable):
            call()
    assert tier.ping(deadline_s=10) is False


def test_wrong_keys_are_an_outage_that_names_its_cause(made):
    tier = made(secret_key="not the secret")
    with pytest.raises(TierUnavailable, match=r"PutObject: SignatureDoesNotMatch \(403\)") as raised:
        tier.put(KEY, b"1", content_type=JPEG)
    assert "not the secret" not in str(raised.value)


def test_a_signed_url_opens_its_object_and_nothing_else(tier):
    other = KEY.replace("a.jpg", "b.jpg")
    tier.put(other, b"other", content_type=JPEG)
    now = int(time.time())
    good = tier.url(KEY, expires_at=now + 900)
    answer = requests.get(good, timeout=30)
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, b"kept", JPEG)
    signature = good[-64:]
    turned = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    moved = tier.url(KEY, expires_at=now + 950)
    forged = {
        "no signature": tier.url(KEY),
        "another object": good.replace("a.jpg", "b.jpg"),
        "another signature": good.replace(signature, turned),
        "another moment": moved.replace(moved[-64:], signature),
        "a longer time": good.replace("X-Amz-Expires=604800", "X-Amz-Expires=604801"),
        "over": tier.url(KEY, expires_at=now - 5),
    }
    assert {what: requests.get(url, timeout=30).status_code // 100 for what, url in forged.items()} == dict.fromkeys(
        forged, 4
    )
    assert requests.put(good, data=b"mine", timeout=30).status_code == 403
    assert requests.delete(good, timeout=30).status_code == 403
    assert tier.get(KEY) == b"kept"


def test_a_signed_url_serves_ranges(tier):
    answer = requests.get(tier.url(KEY, expires_at=int(time.time()) + 60), headers={"Range": "bytes=1-2"}, timeout=30)
    assert (answer.status_code, answer.content) == (206, b"ep")


def test_a_form_whose_policy_was_changed_is_refused(tier):
    form = tier.presign_upload("private/up", max_bytes=10, content_type=JPEG, expires_at=int(time.time()) + 600)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    policy["conditions"] = [
        ["content-length-range", 1, 10**9] if "content-length-range" in each else each for each in policy["conditions"]
    ]
    raised = base64.b64encode(json.dumps(policy).encode()).decode()
    signature = form.fields["x-amz-signature"]
    turned = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    for change in ({"policy": raised}, {"policy": ""}, {"x-amz-signature": turned}):
        assert 400 <= submit(form, b"x" * (1000 if "policy" in change else 5), **change) < 500
    with pytest.raises(ObjectNotFound):
        tier.stat("private/up")
    assert submit(form, b"x" * 10) < 300


def test_a_long_listing_comes_page_by_page(s3, tier, attempts):
    folder = s3.file(tier, "public")
    folder.mkdir()
    names = sorted(f"{number:05d}" for number in range(2300))
    for name in names:
        (folder / name).touch()
    sent = attempts(tier)
    listing = tier.list("public/")
    assert next(listing).key == "public/00000"
    assert sent == ["ListObjectsV2"]
    assert [each.key for each in listing] == [f"public/{name}" for name in names[1:]]
    assert sent == ["ListObjectsV2"] * 3


def test_a_forked_process_makes_a_client_of_its_own(tier):
    mine = tier._client()
    with forked(lambda: tier.get(KEY) == b"kept" and tier._client() is not mine):
        assert tier.get(KEY) == b"kept"


def test_one_client_serves_threads_that_start_together(made):
    tier = made()
    clients: list[object] = []
    threads = [threading.Thread(target=lambda: clients.append(tier._client())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in clients}) == 1
