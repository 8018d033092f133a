PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE runs(
  run INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE COLLATE NOCASE, created INTEGER NOT NULL,
  meta TEXT NOT NULL, header TEXT NOT NULL,
  first_event INTEGER NOT NULL, events INTEGER NOT NULL, items INTEGER NOT NULL, rows_without_item INTEGER NOT NULL,
  seed BLOB NOT NULL);
INSERT INTO runs VALUES(1,'contain-0612-7f3',1,'{"id":"contain-0612-7f3","playbook":"contain","tenant":"prod-eu","created":1,"tool_version":"0.1.0","simulated":false}','{"playbook":"contain","description":"é😀","comment":"ticket 7","tenant":{"name":"prod-eu","base_url":"https://gateway.example","api_version":"v1","user":"u","user_id":"i","auth":{"token_env":"QUELL_TOKEN"},"simulated":false},"steps":[{"name":"isolate","action":{"name":"isolate","id":7,"event_types":["FILE"],"reversible":true,"inverse":null,"repeat_safe":false,"fill":[],"request_type":"activityLog","shown_as":[]},"filter":null},{"name":"quarantine","action":{"name":"quarantine","id":7,"event_types":["FILE"],"reversible":true,"inverse":null,"repeat_safe":false,"fill":[],"request_type":"activityLog","shown_as":[]},"filter":null}],"limits":{"requests":null,"keep_free":null,"concurrency":2,"batch_size":50,"act_timeout":{"secs":120,"nanos":0},"poll_timeout":{"secs":20,"nanos":0}},"polling":{"first_after":{"secs":15,"nanos":0},"interval":{"secs":30,"nanos":0},"interval_max":{"secs":600,"nanos":0},"deadline":{"secs":14400,"nanos":0},"not_found_grace":{"secs":120,"nanos":0}},"statuses":{"succeeded":["success"],"failed":[],"pending":[]},"sources":["export.csv"],"rows":12,"reports":[],"digest":"0000000000000000000000000000000000000000000000000000000000000000"}',1,12,18,2,X'f3e6b5b1e443449bdfc6bd831e5b5dca74c8b66ced36bb8e024505b1f586f1af');
CREATE TABLE events(
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, row INTEGER NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL,
  agent_id TEXT NOT NULL, event_id TEXT NOT NULL, event_type TEXT NOT NULL, pid INTEGER NOT NULL,
  unique_id TEXT NOT NULL, action TEXT, attributes TEXT NOT NULL);
INSERT INTO events VALUES(1,1,1,0,2,'agent-00000000-4f1b-8b55-7a3a000000000000','RTF_00000000000000000000000000000000','FILE',0,'-0000000000000000000','Quarantine','{"host":"pc-000000","user":"ACME\\u0","path":"C:\\temp\\0.exe"}');
INSERT INTO events VALUES(2,1,2,0,3,'agent-00000000-4f1b-8b55-7a3a000000000001','RTF_00000000000000000000000000000001','PROCESS',1,'-0000000000000000001',NULL,'{"host":"pc-000001","user":"ACME\\u1","path":"C:\\temp\\1.exe"}');
INSERT INTO events VALUES(3,1,3,0,4,'agent-00000001-4f1b-8b55-7a3a000000000002','RTF_00000000000000000000000000000002','AGENT',2,'-0000000000000000002','Quarantine','{"host":"pc-000002","user":"ACME\\u2","path":"C:\\temp\\2.exe"}');
INSERT INTO events VALUES(4,1,4,0,5,'agent-00000001-4f1b-8b55-7a3a000000000003','RTF_00000000000000000000000000000003','MUTEX',3,'-0000000000000000003',NULL,'{"host":"pc-000003","user":"ACME\\u3","path":"C:\\temp\\3.exe"}');
INSERT INTO events VALUES(5,1,5,0,6,'agent-00000002-4f1b-8b55-7a3a000000000004','RTF_00000000000000000000000000000004','NETWORK',4,'-0000000000000000004','Quarantine','{"host":"pc-000004","user":"ACME\\u4","path":"C:\\temp\\4.exe"}');
INSERT INTO events VALUES(6,1,6,0,7,'agent-00000002-4f1b-8b55-7a3a000000000005','RTF_00000000000000000000000000000005','REGISTRY',5,'-0000000000000000005',NULL,'{"host":"pc-000005","user":"ACME\\u5","path":"C:\\temp\\5.exe"}');
INSERT INTO events VALUES(7,1,7,0,8,'agent-00000003-4f1b-8b55-7a3a000000000006','RTF_00000000000000000000000000000006','FILE',6,'-0000000000000000006','Quarantine','{"host":"pc-000006","user":"ACME\\u6","path":"C:\\temp\\6.exe"}');
INSERT INTO events VALUES(8,1,8,0,9,'agent-00000003-4f1b-8b55-7a3a000000000007','RTF_00000000000000000000000000000007','PROCESS',7,'-0000000000000000007',NULL,'{"host":"pc-000007","user":"ACME\\u7","path":"C:\\temp\\7.exe"}');
INSERT INTO events VALUES(9,1,9,0,10,'agent-00000004-4f1b-8b55-7a3a000000000008','RTF_00000000000000000000000000000008','AGENT',8,'-0000000000000000008','Quarantine','{"host":"pc-000008","user":"ACME\\u8","path":"C:\\temp\\8.exe"}');
INSERT INTO events VALUES(10,1,10,0,11,'agent-00000004-4f1b-8b55-7a3a000000000009','RTF_00000000000000000000000000000009','MUTEX',9,'-0000000000000000009',NULL,'{"host":"pc-000009","user":"ACME\\u9","path":"C:\\temp\\9.exe"}');
INSERT INTO events VALUES(11,1,11,0,12,'agent-00000005-4f1b-8b55-7a3a000000000010','RTF_00000000000000000000000000000010','NETWORK',10,'-0000000000000000010','Quarantine','{"host":"pc-000010","user":"ACME\\u10","path":"C:\\temp\\10.exe"}');
INSERT INTO events VALUES(12,1,12,0,13,'agent-00000005-4f1b-8b55-7a3a000000000011','RTF_00000000000000000000000000000011','REGISTRY',11,'-0000000000000000011',NULL,'{"host":"pc-000011","user":"ACME\\u11","path":"C:\\temp\\11.exe"}');
CREATE TABLE items(
  run INTEGER NOT NULL, item INTEGER NOT NULL, event INTEGER NOT NULL, step INTEGER NOT NULL, target INTEGER NOT NULL,
  PRIMARY KEY(run, item)) WITHOUT ROWID;
INSERT INTO items VALUES(1,0,0,0,0);
INSERT INTO items VALUES(1,1,0,1,0);
INSERT INTO items VALUES(1,2,1,1,0);
INSERT INTO items VALUES(1,3,2,0,1);
INSERT INTO items VALUES(1,4,2,1,1);
INSERT INTO items VALUES(1,5,3,1,1);
INSERT INTO items VALUES(1,6,4,0,2);
INSERT INTO items VALUES(1,7,4,1,2);
INSERT INTO items VALUES(1,8,5,1,2);
INSERT INTO items VALUES(1,9,6,0,3);
INSERT INTO items VALUES(1,10,6,1,3);
INSERT INTO items VALUES(1,11,7,1,3);
INSERT INTO items VALUES(1,12,8,0,4);
INSERT INTO items VALUES(1,13,8,1,4);
INSERT INTO items VALUES(1,14,9,1,4);
INSERT INTO items VALUES(1,15,10,0,5);
INSERT INTO items VALUES(1,16,10,1,5);
INSERT INTO items VALUES(1,17,11,1,5);
CREATE TABLE rows_without_item(
  run INTEGER NOT NULL, n INTEGER NOT NULL, row INTEGER NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL,
  byte INTEGER, reason TEXT NOT NULL, PRIMARY KEY(run, n)) WITHOUT ROWID;
INSERT INTO rows_without_item VALUES(1,0,1,0,2,0,'duplicate of row 0');
INSERT INTO rows_without_item VALUES(1,1,7,0,8,NULL,'duplicate of row 6');
CREATE TABLE facts(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB,
  kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.fact')) VIRTUAL,
  PRIMARY KEY(run, seq)) WITHOUT ROWID;
INSERT INTO facts VALUES(1,1,1790000000000,'{"fact":"started"}',X'dc0e607486e16400f95cc01be358cba557d63808b1ea6d4658b189205dabb828');
INSERT INTO facts VALUES(1,2,1790000000001,'{"fact":"submitting","batch":1,"step":1,"event_type":"FILE","items":[0,1,2]}',X'31d9f3646b6ace6999820240b838637004940cb6c424a2238472da3d71442130');
INSERT INTO facts VALUES(1,3,1790000000900,'{"fact":"returned","batch":1,"why":"throttled","message":"429 \"slow down\""}',X'f619371ec0229735ed55da58ae6d4f48b42a8220e8c74ad339b52d16b84542ce');
INSERT INTO facts VALUES(1,4,1790000001000,'{"fact":"submitting","batch":2,"step":1,"event_type":"FILE","items":[0,1,2]}',NULL);
INSERT INTO facts VALUES(1,5,1790000001000,'{"fact":"submitting","batch":3,"step":1,"event_type":"FILE","items":[3,4,5]}',X'73a1a52c8affbf8b214d185e1de15434bcd778289ce18cbb8688927b17521040');
INSERT INTO facts VALUES(1,6,1790000001500,'{"fact":"accepted","batch":2,"ids":["b3c5a1f0-0002-4bbb-8ccc-000000000000","b3c5a1f0-0002-4bbb-8ccc-000000000001","b3c5a1f0-0002-4bbb-8ccc-000000000002"]}',NULL);
INSERT INTO facts VALUES(1,7,1790000001501,'{"fact":"accepted","batch":3,"ids":["b3c5a1f0-0003-4bbb-8ccc-000000000000","b3c5a1f0-0003-4bbb-8ccc-000000000001","b3c5a1f0-0003-4bbb-8ccc-000000000002"]}',X'3051a9e5474fd7edbed71c91994c1c02e50710165c46abb3767a27f140c28b98');
INSERT INTO facts VALUES(1,8,1790000002000,'{"fact":"settled","item":1,"outcome":"succeeded","of":{"batch":2,"index":0},"by":"agent_and_unique_id","status":"success"}',NULL);
INSERT INTO facts VALUES(1,9,1790000002001,'{"fact":"settled","item":0,"outcome":"succeeded","of":{"batch":2,"index":1},"by":"agent_and_unique_id","status":"success"}',NULL);
INSERT INTO facts VALUES(1,10,1790000002002,'{"fact":"settled","item":2,"outcome":"succeeded","of":{"batch":2,"index":2},"by":"agent_and_unique_id","status":"success"}',X'845142e48d61d813bee864d87d7384fdfa539c38e6eaca34f820e0c203695bdf');
INSERT INTO facts VALUES(1,11,1790000002500,'{"fact":"submitting","batch":4,"step":1,"event_type":"FILE","items":[6,7,8]}',X'10d35cb9efed2d1cecca189c396383c09a18f0ea6e76f43458b04116caa0a904');
INSERT INTO facts VALUES(1,12,1790000002600,'{"fact":"tallied","gets":3,"throttled":0}',X'a6837ac30a31aa1d641530015df66e0baa2794aaaf5fdc109d92576c253a6226');
CREATE TABLE heads(
  run INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL, host TEXT NOT NULL);
INSERT INTO heads VALUES(1,12,X'a6837ac30a31aa1d641530015df66e0baa2794aaaf5fdc109d92576c253a6226','0123456789abcdef');
CREATE TABLE accepted(
  run INTEGER NOT NULL, batch INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(run, batch)) WITHOUT ROWID;
INSERT INTO accepted VALUES(1,2,6);
INSERT INTO accepted VALUES(1,3,7);
CREATE TABLE budget(at INTEGER NOT NULL, calls INTEGER NOT NULL, run INTEGER NOT NULL);
CREATE INDEX budget_by_time ON budget(at);
CREATE VIEW timeline AS
  SELECT r.id AS run, f.seq, strftime('%Y-%m-%dT%H:%M:%fZ', f.at / 1000.0, 'unixepoch') AS at, f.kind, f.body
  FROM facts f JOIN runs r ON r.run = f.run;
CREATE VIEW item_events AS
  SELECT r.id AS run, i.item, json_extract(r.header, '$.steps[' || i.step || '].name') AS step, i.target,
    e.row, e.source, e.line, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id, e.action, e.attributes
  FROM items i JOIN runs r ON r.run = i.run JOIN events e ON e.id = r.first_event + i.event;
PRAGMA application_id = 1903519084;
PRAGMA user_version = 1;
COMMIT;
