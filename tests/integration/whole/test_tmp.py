import pytest, transaction
from photoapp.models import *
from photoapp.sharding.shards import COMMIT_SENT
@pytest.mark.parametrize("engine", ["postgresql"])
def test_x(shards, postgres):
    db = "photoapp_one"
    for st in ("CREATE FUNCTION shard_0000.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$", "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON shard_0000.claim_fence DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shard_0000.die()"):
        postgres.execute(st, database=db)
    m = transaction.TransactionManager(explicit=True)
    try:
        with m:
            w = shards.join(0, m)
            w.insert_once(ClaimFence, {"claim_id": 5, "named": True})
    except Exception as e:
        import traceback; traceback.print_exc()
        print("GOT", type(e), w.session.info)
    postgres.execute("DROP FUNCTION shard_0000.die() CASCADE", database=db)
