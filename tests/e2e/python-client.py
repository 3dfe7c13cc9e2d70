# Uses a client that openapi-python-client generated: python python-client.py URL KEY
import sys
from io import BytesIO
from uuid import UUID, uuid4

from atlas_client import AuthenticatedClient
from atlas_client.api.accounts import get_account, list_accounts
from atlas_client.api.files import delete_file, download_file, initiate_upload, upload_file
from atlas_client.api.health import ping
from atlas_client.api.transfers import post_transfer
from atlas_client.models import FileRecord, InitiatedUpload, NewTransfer, NewUpload, NewUploadMediaType, Problem, Transfer
from atlas_client.types import File

ALICE = UUID("00000000-0000-7000-8000-00000000000a")
BOB = UUID("00000000-0000-7000-8000-00000000000b")
BYTES = b"date,amount\n2026-01-31,12.50\n"

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])

assert ping.sync(client=client).pong is True
assert len(list_accounts.sync(client=client).accounts) >= 3

before = get_account.sync(ALICE, client=client).balance
order = NewTransfer(debit_account_id=ALICE, credit_account_id=BOB, amount=1250)
key = str(uuid4())
first = post_transfer.sync(client=client, body=order, idempotency_key=key)
again = post_transfer.sync(client=client, body=order, idempotency_key=key)
assert isinstance(first, Transfer) and first == again
assert get_account.sync(ALICE, client=client).balance == before - 1250

too_much = NewTransfer(debit_account_id=ALICE, credit_account_id=BOB, amount=10**12)
refused = post_transfer.sync(client=client, body=too_much, idempotency_key=str(uuid4()))
assert isinstance(refused, Problem) and refused.type_ == "/problems/insufficient_funds"

stored = upload_file.sync(client=client, body=File(payload=BytesIO(BYTES)), name="statement.csv")
assert isinstance(stored, FileRecord) and stored.size_bytes == len(BYTES)
downloaded = download_file.sync(stored.id, client=client)
assert isinstance(downloaded, File) and downloaded.payload.read() == BYTES

declared = NewUpload(
    name="statement.csv", media_type=NewUploadMediaType.TEXTCSV, size_bytes=len(BYTES), sha256=stored.sha256
)
upload = initiate_upload.sync(client=client, body=declared)
assert isinstance(upload, InitiatedUpload) and upload.upload.method == "PUT"

assert delete_file.sync_detailed(stored.id, client=client).status_code == 204
print("done")
