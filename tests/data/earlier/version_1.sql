-- A store of version 1, made by doteval 0.1.0 and written with sqlite3.Connection.iterdump(); what it told of it
-- stands in version_1.json. The experiment `old` is what `doteval run nested/eval_old.py --experiment old` stored when
-- names counted from the store's folder; `nested` was a project of its own.
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
INSERT INTO "attempts" VALUES(1,1,1,X'72330000000000000000000000000000',0,1,1.0,0.1,'ignored','ValueError','no');
INSERT INTO "attempts" VALUES(2,1,1,X'72340000000000000000000000000000',0,1,1.0,0.1,'ignored','ValueError','no');
CREATE TABLE bodies (
    record INTEGER PRIMARY KEY,         -- records.id
    body TEXT NOT NULL                  -- JSON, ASCII only
);
INSERT INTO "bodies" VALUES(1,'{"row": {"text": "r0"}}');
INSERT INTO "bodies" VALUES(2,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(3,'{"row": {"text": "r2"}}');
INSERT INTO "bodies" VALUES(4,'{"row": {"text": "r3"}, "failure": {"message": "late", "traceback": ""}}');
INSERT INTO "bodies" VALUES(5,'{"row": {"text": "r4"}, "failure": {"message": "late", "traceback": ""}}');
INSERT INTO "bodies" VALUES(6,'{"row": {"text": "r5"}, "failure": {"message": "late", "traceback": ""}}');
INSERT INTO "bodies" VALUES(7,'{"row": {"text": "r6"}}');
INSERT INTO "bodies" VALUES(8,'{"row": {"text": "r7"}}');
INSERT INTO "bodies" VALUES(9,'{"row": {"text": "r8"}}');
INSERT INTO "bodies" VALUES(10,'{"row": {"text": "r9"}}');
INSERT INTO "bodies" VALUES(11,'{"row": {"text": "r10"}}');
INSERT INTO "bodies" VALUES(12,'{"row": {"text": "r11"}}');
INSERT INTO "bodies" VALUES(13,'{"row": {"text": "r3"}}');
INSERT INTO "bodies" VALUES(14,'{"row": {"text": "r4"}, "failure": {"message": "no", "traceback": ""}}');
INSERT INTO "bodies" VALUES(15,'{"row": {"text": "r0"}}');
INSERT INTO "bodies" VALUES(16,'{"row": {"text": "r0"}}');
INSERT INTO "bodies" VALUES(17,'{"row": {"text": "r0"}}');
INSERT INTO "bodies" VALUES(18,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(19,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(20,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(21,'{"row": {"text": "r2"}}');
INSERT INTO "bodies" VALUES(22,'{"row": {"text": "r2"}}');
INSERT INTO "bodies" VALUES(23,'{"row": {"text": "r2"}}');
INSERT INTO "bodies" VALUES(24,'{"row": {"text": "r3"}}');
INSERT INTO "bodies" VALUES(25,'{"row": {"text": "r3"}}');
INSERT INTO "bodies" VALUES(26,'{"row": {"text": "r3"}}');
INSERT INTO "bodies" VALUES(27,'{"row": {"text": "r4"}}');
INSERT INTO "bodies" VALUES(28,'{"row": {"text": "r4"}}');
INSERT INTO "bodies" VALUES(29,'{"row": {"text": "r4"}}');
INSERT INTO "bodies" VALUES(30,'{"row": {"text": "r5"}}');
INSERT INTO "bodies" VALUES(31,'{"row": {"text": "r5"}}');
INSERT INTO "bodies" VALUES(32,'{"row": {"text": "r5"}}');
INSERT INTO "bodies" VALUES(33,'{"row": {"text": "r0"}}');
INSERT INTO "bodies" VALUES(34,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(35,'{"row": {"text": "r2"}}');
INSERT INTO "bodies" VALUES(36,'{"row": {"text": "r3"}}');
INSERT INTO "bodies" VALUES(37,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(38,'{"row": {"text": "r1"}}');
INSERT INTO "bodies" VALUES(39,'{"row": {"n": 0}}');
INSERT INTO "bodies" VALUES(40,'{"row": {"n": 1}}');
INSERT INTO "bodies" VALUES(41,'{"row": {"n": 2}}');
INSERT INTO "bodies" VALUES(42,'{"row": {"n": 3}}');
INSERT INTO "bodies" VALUES(43,'{"row": {"n": 4}}');
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
INSERT INTO "evaluations" VALUES(1,1,'f.py::v',12,4,NULL,NULL);
INSERT INTO "evaluations" VALUES(3,1,'f.py::again',NULL,1,NULL,NULL);
INSERT INTO "evaluations" VALUES(4,4,'f.py::v',NULL,3,NULL,NULL);
INSERT INTO "evaluations" VALUES(6,6,'f.py::v',NULL,1,NULL,NULL);
INSERT INTO "evaluations" VALUES(8,8,'nested/eval_old.py::eval_old',5,1,NULL,NULL);
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a reader may still hold it
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL               -- Unix seconds
);
INSERT INTO "experiments" VALUES(1,'plain',1.0);
INSERT INTO "experiments" VALUES(4,'anew',1.0);
INSERT INTO "experiments" VALUES(6,'parts',1.0);
INSERT INTO "experiments" VALUES(8,'old',1.79574631955113410948e+09);
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
INSERT INTO "records" VALUES(1,1,1,X'72300000000000000000000000000000',NULL,0,0,1,NULL,1,100.0,0.5,0.0,1,10,5,0.01);
INSERT INTO "records" VALUES(2,1,1,X'72310000000000000000000000000000',NULL,0,1,0,NULL,1,100.0,0.6,0.0,1,11,5,0.01);
INSERT INTO "records" VALUES(3,1,1,X'72320000000000000000000000000000',NULL,0,2,0,NULL,1,100.0,0.7,0.0,1,12,5,0.01);
INSERT INTO "records" VALUES(4,1,1,X'72330000000000000000000000000000',NULL,0,3,2,'TimeoutError',1,100.0,0.8,0.0,1,13,5,0.01);
INSERT INTO "records" VALUES(5,1,1,X'72340000000000000000000000000000',NULL,0,4,2,'TimeoutError',1,100.0,0.9,0.0,1,14,5,0.01);
INSERT INTO "records" VALUES(6,1,1,X'72350000000000000000000000000000',NULL,0,5,0,'TimeoutError',1,100.0,1.0,0.0,1,15,5,0.01);
INSERT INTO "records" VALUES(7,1,1,X'72360000000000000000000000000000',NULL,0,6,0,NULL,1,100.0,1.1,0.0,1,16,5,0.01);
INSERT INTO "records" VALUES(8,1,1,X'72370000000000000000000000000000',NULL,0,7,0,NULL,1,100.0,1.2,0.0,1,17,5,0.01);
INSERT INTO "records" VALUES(9,1,1,X'72380000000000000000000000000000',NULL,0,8,0,NULL,1,100.0,1.3,0.0,1,18,5,0.01);
INSERT INTO "records" VALUES(10,1,1,X'72390000000000000000000000000000',NULL,0,9,0,NULL,1,100.0,1.4,0.0,1,19,5,0.01);
INSERT INTO "records" VALUES(11,1,1,X'72313000000000000000000000000000',NULL,0,10,0,NULL,1,100.0,1.5,0.0,1,20,5,0.01);
INSERT INTO "records" VALUES(12,1,1,X'72313100000000000000000000000000',NULL,0,11,0,NULL,1,100.0,1.6,0.0,1,21,5,0.01);
INSERT INTO "records" VALUES(13,1,2,X'72330000000000000000000000000000',NULL,0,3,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(14,1,2,X'72340000000000000000000000000000',NULL,0,4,0,'KeyError',1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(15,3,3,X'72300000000000000000000000000000',NULL,0,0,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(16,3,3,X'72300000000000000000000000000000',NULL,1,0,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(17,3,3,X'72300000000000000000000000000000',NULL,2,0,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(18,3,3,X'72310000000000000000000000000000',NULL,0,1,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(19,3,3,X'72310000000000000000000000000000',NULL,1,1,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(20,3,3,X'72310000000000000000000000000000',NULL,2,1,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(21,3,3,X'72320000000000000000000000000000',NULL,0,2,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(22,3,3,X'72320000000000000000000000000000',NULL,1,2,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(23,3,3,X'72320000000000000000000000000000',NULL,2,2,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(24,3,3,X'72330000000000000000000000000000',NULL,0,3,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(25,3,3,X'72330000000000000000000000000000',NULL,1,3,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(26,3,3,X'72330000000000000000000000000000',NULL,2,3,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(27,3,3,X'72340000000000000000000000000000',NULL,0,4,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(28,3,3,X'72340000000000000000000000000000',NULL,1,4,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(29,3,3,X'72340000000000000000000000000000',NULL,2,4,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(30,3,3,X'72350000000000000000000000000000',NULL,0,5,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(31,3,3,X'72350000000000000000000000000000',NULL,1,5,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(32,3,3,X'72350000000000000000000000000000',NULL,2,5,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(33,4,4,X'72300000000000000000000000000000',NULL,0,0,2,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(34,4,4,X'72310000000000000000000000000000',NULL,0,0,2,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(35,4,4,X'72320000000000000000000000000000',NULL,0,0,2,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(36,4,4,X'72330000000000000000000000000000',NULL,0,0,2,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(37,4,5,X'72310000000000000000000000000000',NULL,0,0,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(38,6,6,X'72310000000000000000000000000000',NULL,0,0,0,NULL,1,100.0,0.5,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(39,8,7,X'3A3E9787B44E9FC2D951E7DC0EEB0C18',NULL,0,0,0,NULL,1,1.7957463195658383369e+09,2.11244000183796742931e-04,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(40,8,7,X'D816D21BA42E04C490E39C91CE89FEFD',NULL,0,1,0,NULL,1,1.79574631956611633297e+09,5.91979996897862292826e-05,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(41,8,7,X'D793D7F2EE5EB4595ECD137C43D53766',NULL,0,2,0,NULL,1,1.79574631956620788574e+09,4.09799999943061266094e-05,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(42,8,7,X'A58F5575BC6A89D6D12A6A9CFFC2D569',NULL,0,3,0,NULL,1,1.79574631956628036496e+09,4.05599998885009e-05,0.0,1,NULL,NULL,NULL);
INSERT INTO "records" VALUES(43,8,7,X'0E342936A047E05E9E2205565801D28E',NULL,0,4,0,NULL,1,1.79574631956635451311e+09,9.83359996098443e-05,0.0,1,NULL,NULL,NULL);
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
INSERT INTO "runs" VALUES(1,'38b4e652e44da7f2370d9e260e271365','',1,1.0,9.0,8.0,'incomplete',15179,'{"doteval": "0.1.0", "columns": ["text"], "total": 12}','[]',NULL);
INSERT INTO "runs" VALUES(2,'2b902f8911e81818f8c99d5d5d983195','',1,1.0,19.0,8.0,'complete',15179,'{"doteval": "0.1.0", "columns": ["text"], "total": 12}','[]',NULL);
INSERT INTO "runs" VALUES(3,'d85099095aa300165a67036f9b540d6b','',3,1.0,9.0,0.0,'complete',15179,'{}','[]',NULL);
INSERT INTO "runs" VALUES(4,'264aad6cb6dd210faf94acd3cf92c190','',4,1.0,3.0,0.0,'complete',15179,'{}','[]',NULL);
INSERT INTO "runs" VALUES(5,'b5769fa0f1483f95a90d9df2f130d60f','',4,1.0,NULL,0.0,'running',15179,'{"fresh": true}',NULL,NULL);
INSERT INTO "runs" VALUES(6,'cf04bd93f50ae69514da8c659ce2b10c','1/2',6,1.0,3.0,0.0,'complete',15179,'{"shard": "1/2"}','[]',NULL);
INSERT INTO "runs" VALUES(7,'aa249ba21a44d58a27428ca7a14f4e51','',8,1.79574631955113410948e+09,1.79574631956955480579e+09,1.84212459998889244161e-02,'complete',31353,'{"doteval": "0.1.0", "python": "3.11.7", "platform": "linux", "commit": null, "strategy": {"name": "Sequential"}, "columns": ["n"], "repeats": 1, "samples": null, "total": 5, "fresh": false, "shard": null, "source": "40f3783bfdc90c9c"}','[]',NULL);
CREATE TABLE score_names (
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    name TEXT NOT NULL,
    metrics TEXT NOT NULL,              -- JSON: names
    UNIQUE (evaluation, name)
);
INSERT INTO "score_names" VALUES(1,1,'right','["accuracy"]');
INSERT INTO "score_names" VALUES(2,1,'length','["mean"]');
INSERT INTO "score_names" VALUES(3,3,'right','["accuracy"]');
INSERT INTO "score_names" VALUES(4,4,'right','["mean"]');
INSERT INTO "score_names" VALUES(5,6,'right','["accuracy"]');
INSERT INTO "score_names" VALUES(6,8,'eval_old','["accuracy"]');
CREATE TABLE scores (
    record INTEGER NOT NULL,            -- records.id
    name INTEGER NOT NULL,              -- score_names.id
    value,                              -- number; NULL: NaN; text: an integer beyond 63 bits
    boolean INTEGER NOT NULL,           -- 1: the value is True or False
    PRIMARY KEY (record, name)
) WITHOUT ROWID;
INSERT INTO "scores" VALUES(1,1,1,1);
INSERT INTO "scores" VALUES(1,2,0.0,0);
INSERT INTO "scores" VALUES(2,1,0,1);
INSERT INTO "scores" VALUES(2,2,1.5,0);
INSERT INTO "scores" VALUES(3,1,1,1);
INSERT INTO "scores" VALUES(3,2,3.0,0);
INSERT INTO "scores" VALUES(7,1,1,1);
INSERT INTO "scores" VALUES(7,2,9.0,0);
INSERT INTO "scores" VALUES(8,1,0,1);
INSERT INTO "scores" VALUES(8,2,10.5,0);
INSERT INTO "scores" VALUES(9,1,1,1);
INSERT INTO "scores" VALUES(9,2,12.0,0);
INSERT INTO "scores" VALUES(10,1,0,1);
INSERT INTO "scores" VALUES(10,2,13.5,0);
INSERT INTO "scores" VALUES(11,1,1,1);
INSERT INTO "scores" VALUES(11,2,15.0,0);
INSERT INTO "scores" VALUES(12,1,0,1);
INSERT INTO "scores" VALUES(12,2,16.5,0);
INSERT INTO "scores" VALUES(13,1,1,1);
INSERT INTO "scores" VALUES(13,2,4.5,0);
INSERT INTO "scores" VALUES(15,3,1,1);
INSERT INTO "scores" VALUES(16,3,0,1);
INSERT INTO "scores" VALUES(17,3,0,1);
INSERT INTO "scores" VALUES(18,3,0,1);
INSERT INTO "scores" VALUES(19,3,0,1);
INSERT INTO "scores" VALUES(20,3,1,1);
INSERT INTO "scores" VALUES(21,3,0,1);
INSERT INTO "scores" VALUES(22,3,1,1);
INSERT INTO "scores" VALUES(23,3,0,1);
INSERT INTO "scores" VALUES(24,3,1,1);
INSERT INTO "scores" VALUES(25,3,0,1);
INSERT INTO "scores" VALUES(26,3,0,1);
INSERT INTO "scores" VALUES(27,3,0,1);
INSERT INTO "scores" VALUES(28,3,0,1);
INSERT INTO "scores" VALUES(29,3,1,1);
INSERT INTO "scores" VALUES(30,3,0,1);
INSERT INTO "scores" VALUES(31,3,1,1);
INSERT INTO "scores" VALUES(32,3,0,1);
INSERT INTO "scores" VALUES(33,4,1,1);
INSERT INTO "scores" VALUES(34,4,1,1);
INSERT INTO "scores" VALUES(35,4,1,1);
INSERT INTO "scores" VALUES(36,4,1,1);
INSERT INTO "scores" VALUES(37,4,0,1);
INSERT INTO "scores" VALUES(38,5,1,1);
INSERT INTO "scores" VALUES(39,6,1,1);
INSERT INTO "scores" VALUES(40,6,1,1);
INSERT INTO "scores" VALUES(41,6,1,1);
INSERT INTO "scores" VALUES(42,6,1,1);
INSERT INTO "scores" VALUES(43,6,0,1);
CREATE INDEX runs_of ON runs (evaluation);
CREATE INDEX records_of ON records (evaluation, state);
CREATE INDEX records_failed ON records (evaluation, state, id, error) WHERE error IS NOT NULL;
CREATE INDEX attempts_of ON attempts (evaluation);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('experiments',8);
INSERT INTO "sqlite_sequence" VALUES('evaluations',8);
COMMIT;
