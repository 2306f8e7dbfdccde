-- What `doteval run nested/eval_old.py --experiment old` of version 0.1.0 stored when names counted from the store's
-- folder; `nested` is a project of its own. Written with sqlite3.Connection.iterdump().
PRAGMA application_id = 1685025893;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE attempts (                 -- the ledger: failed attempts, paid and without scores
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    run INTEGER NOT NULL,               -- runs.id
    key BLOB NOT NULL,
    repeat INTEGER NOT NULL,
    number INTEGER NOT NULL,            -- from 1 within the run
    started REAL NOT NULL,              -- Unix seconds
    duration REAL NOT NULL,             -- seconds
    outcome TEXT NOT NULL,              -- congestion trouble ignored
    error TEXT NOT NULL,                -- type
    message TEXT NOT NULL
);
CREATE TABLE bodies (
    record INTEGER PRIMARY KEY,         -- records.id
    body TEXT NOT NULL                  -- JSON, ASCII only
);
INSERT INTO "bodies" VALUES(1,'{"row": {"n": 0}}');
INSERT INTO "bodies" VALUES(2,'{"row": {"n": 1}}');
INSERT INTO "bodies" VALUES(3,'{"row": {"n": 2}}');
INSERT INTO "bodies" VALUES(4,'{"row": {"n": 3}}');
INSERT INTO "bodies" VALUES(5,'{"row": {"n": 4}}');
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment INTEGER NOT NULL,        -- experiments.id
    name TEXT NOT NULL,                 -- path from the store's anchor :: function [parameters]
    total INTEGER,                      -- rows x repeats of the dataset; NULL: its end is unknown
    revision INTEGER NOT NULL DEFAULT 0,-- counts the commits that touched its records
    tally TEXT,                         -- JSON: aggregates, valid for tally_revision
    tally_revision INTEGER,
    UNIQUE (experiment, name)
);
INSERT INTO "evaluations" VALUES(1,1,'nested/eval_old.py::eval_old',5,1,NULL,NULL);
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a reader may still hold it
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL               -- Unix seconds
);
INSERT INTO "experiments" VALUES(1,'old',1.79574631955113410948e+09);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    run INTEGER NOT NULL,               -- runs.id
    key BLOB NOT NULL,                  -- identity of the row, 16 bytes
    digest BLOB,                        -- of the other columns of a row that has an id
    repeat INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state INTEGER NOT NULL,             -- 0 live, 1 stale (not in the dataset), 2 superseded
    error TEXT,                         -- type of the failure; NULL: it has scores
    attempts INTEGER NOT NULL,
    started REAL NOT NULL,              -- Unix seconds, of the last attempt
    duration REAL NOT NULL,             -- seconds, of the last attempt
    waited REAL NOT NULL,               -- seconds between attempts
    concurrency INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost REAL
);
INSERT INTO "records" VALUES(1,1,1,X'3A3E9787B44E9FC2D951E7DC0EEB0C18',NULL,0,0,0,NULL,1,1.7957463195658383369e+09,2.11244000183796742931e-04,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(2,1,1,X'D816D21BA42E04C490E39C91CE89FEFD',NULL,0,1,0,NULL,1,1.79574631956611633297e+09,5.91979996897862292826e-05,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(3,1,1,X'D793D7F2EE5EB4595ECD137C43D53766',NULL,0,2,0,NULL,1,1.79574631956620788574e+09,4.09799999943061266094e-05,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(4,1,1,X'A58F5575BC6A89D6D12A6A9CFFC2D569',NULL,0,3,0,NULL,1,1.79574631956628036496e+09,4.05599998885009e-05,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(5,1,1,X'0E342936A047E05E9E2205565801D28E',NULL,0,4,0,NULL,1,1.79574631956635451311e+09,9.83359996098443e-05,0.0,1,NULL,NULL,NULL);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,           -- 128 random bits, hex
    part TEXT NOT NULL,                 -- which shard, as "1/4"; empty: all rows
    evaluation INTEGER NOT NULL,        -- evaluations.id
    started REAL NOT NULL,              -- Unix seconds
    finished REAL,                      -- Unix seconds; NULL while it works, or after a crash
    duration REAL NOT NULL DEFAULT 0,   -- seconds on a monotonic clock
    status TEXT NOT NULL,               -- running complete incomplete interrupted stalled failed
    pid INTEGER NOT NULL,
    header TEXT NOT NULL,               -- JSON: versions, commit, strategy, source digest
    history TEXT,                       -- JSON: how the limit of concurrency moved
    error TEXT                          -- why it did not complete
);
INSERT INTO "runs" VALUES(1,'aa249ba21a44d58a27428ca7a14f4e51','',1,1.79574631955113410948e+09,1.79574631956955480579e+09,1.84212459998889244161e-02,'complete',31353,'{"doteval": "0.1.0", "python": "3.11.7", "platform": "linux", "commit": null, "strategy": {"name": "Sequential"}, "columns": ["n"], "repeats": 1, "samples": null, "total": 5, "fresh": false, "shard": null, "source": "40f3783bfdc90c9c"}','[]',NULL);
CREATE TABLE score_names (
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    name TEXT NOT NULL,
    metrics TEXT NOT NULL,              -- JSON: names
    UNIQUE (evaluation, name)
);
INSERT INTO "score_names" VALUES(1,1,'eval_old','["accuracy"]');
CREATE TABLE scores (
    record INTEGER NOT NULL,            -- records.id
    name INTEGER NOT NULL,              -- score_names.id
    value,                              -- number; NULL: NaN; text: an integer beyond 63 bits
    boolean INTEGER NOT NULL,           -- 1: the value is True or False
    PRIMARY KEY (record, name)
) WITHOUT ROWID;
INSERT INTO "scores" VALUES(1,1,1,1);
INSERT INTO "scores" VALUES(2,1,1,1);
INSERT INTO "scores" VALUES(3,1,1,1);
INSERT INTO "scores" VALUES(4,1,1,1);
INSERT INTO "scores" VALUES(5,1,0,1);
CREATE INDEX runs_of ON runs (evaluation);
CREATE INDEX records_of ON records (evaluation, state);
CREATE INDEX records_failed ON records (evaluation, state, id, error) WHERE error IS NOT NULL;
CREATE INDEX attempts_of ON attempts (evaluation);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('experiments',1);
INSERT INTO "sqlite_sequence" VALUES('evaluations',1);
COMMIT;
