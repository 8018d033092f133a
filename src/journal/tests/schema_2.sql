PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE runs(
  run INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE COLLATE NOCASE, created INTEGER NOT NULL,
  meta TEXT NOT NULL, header TEXT NOT NULL,
  first_event INTEGER NOT NULL, events INTEGER NOT NULL, items INTEGER NOT NULL, rows_without_item INTEGER NOT NULL,
  seed BLOB NOT NULL);
INSERT INTO runs VALUES(1,'contain-0612-7f3',1,'{"id":"contain-0612-7f3","playbook":"contain","tenant":"prod-eu","created":1,"tool_version":"0.1.0","simulated":false}','{"playbook":"contain","description":"é😀","comment":"ticket 7","tenant":{"name":"prod-eu","base_url":"https://gateway.example","api_version":"v1","user":"u","user_id":"i","auth":{"token_env":"QUELL_TOKEN"},"simulated":false},"steps":[{"name":"isolate","action":{"name":"isolate","id":7,"event_types":["FILE"],"reversible":true,"inverse":null,"repeat_safe":false,"fill":[],"request_type":"activityLog","shown_as":[]},"filter":null,"on_unknown":"stop","inverse_id":null},{"name":"quarantine","action":{"name":"quarantine","id":7,"event_types":["FILE"],"reversible":true,"inverse":null,"repeat_safe":false,"fill":[],"request_type":"activityLog","shown_as":[]},"filter":null,"on_unknown":"stop","inverse_id":null}],"limits":{"requests":null,"keep_free":null,"concurrency":2,"batch_size":50,"act_timeout":{"secs":120,"nanos":0},"poll_timeout":{"secs":20,"nanos":0}},"polling":{"first_after":{"secs":15,"nanos":0},"interval":{"secs":30,"nanos":0},"interval_max":{"secs":600,"nanos":0},"deadline":{"secs":14400,"nanos":0},"not_found_grace":{"secs":120,"nanos":0}},"statuses":{"succeeded":["success"],"failed":[],"pending":[]},"dedupe_window":{"secs":2592000,"nanos":0},"overlap":"forbid","sources":["export.csv"],"rows":12,"reports":[],"digest":"0000000000000000000000000000000000000000000000000000000000000000"}',1,12,18,2,X'478f20a042fdcca7291cbe9cc04c0c95efdcbbe068234e7631715710ae65f419');
INSERT INTO runs VALUES(2,'every-0613-001',2,'{"id":"every-0613-001","playbook":"contain","tenant":"prod-eu","created":2,"tool_version":"0.1.0","simulated":false,"operator":"nina","retry_of":"contain-0612-7f3"}','{"playbook":"contain","description":"é😀","comment":"ticket 7","tenant":{"name":"prod-eu","base_url":"https://gateway.example","api_version":"v1","user":"u","user_id":"i","auth":{"token_env":"QUELL_TOKEN"},"simulated":false},"steps":[{"name":"release","action":{"name":"release","id":8,"event_types":["FILE"],"reversible":true,"inverse":null,"repeat_safe":false,"fill":[],"request_type":"activityLog","shown_as":[]},"filter":null,"on_unknown":"stop","inverse_id":7},{"name":"quarantine","action":{"name":"quarantine","id":7,"event_types":["FILE"],"reversible":true,"inverse":null,"repeat_safe":false,"fill":[],"request_type":"activityLog","shown_as":[]},"filter":null,"on_unknown":"stop","inverse_id":8}],"limits":{"requests":null,"keep_free":null,"concurrency":2,"batch_size":50,"act_timeout":{"secs":120,"nanos":0},"poll_timeout":{"secs":20,"nanos":0}},"polling":{"first_after":{"secs":15,"nanos":0},"interval":{"secs":30,"nanos":0},"interval_max":{"secs":600,"nanos":0},"deadline":{"secs":14400,"nanos":0},"not_found_grace":{"secs":120,"nanos":0}},"statuses":{"succeeded":["success"],"failed":[],"pending":[]},"dedupe_window":{"secs":2592000,"nanos":0},"overlap":"forbid","sources":["export.csv"],"rows":14,"reports":[],"digest":"0000000000000000000000000000000000000000000000000000000000000000"}',13,14,14,0,X'cf9154fb88864b003203308753194c062088c45a6e1434624472d9f302f280b7');
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
INSERT INTO events VALUES(13,2,1,0,2,'agent-00000000-4f1b-8b55-7a3a000000000000','RTF_00000000000000000000000000000000','FILE',0,'-0000000000000000000','Quarantine','{"host":"pc-000000","user":"ACME\\u0","path":"C:\\temp\\0.exe"}');
INSERT INTO events VALUES(14,2,2,0,3,'agent-00000000-4f1b-8b55-7a3a000000000001','RTF_00000000000000000000000000000001','FILE',1,'-0000000000000000001',NULL,'{"host":"pc-000001","user":"ACME\\u1","path":"C:\\temp\\1.exe"}');
INSERT INTO events VALUES(15,2,3,0,4,'agent-00000001-4f1b-8b55-7a3a000000000002','RTF_00000000000000000000000000000002','FILE',2,'-0000000000000000002','Quarantine','{"host":"pc-000002","user":"ACME\\u2","path":"C:\\temp\\2.exe"}');
INSERT INTO events VALUES(16,2,4,0,5,'agent-00000001-4f1b-8b55-7a3a000000000003','RTF_00000000000000000000000000000003','FILE',3,'-0000000000000000003',NULL,'{"host":"pc-000003","user":"ACME\\u3","path":"C:\\temp\\3.exe"}');
INSERT INTO events VALUES(17,2,5,0,6,'agent-00000002-4f1b-8b55-7a3a000000000004','RTF_00000000000000000000000000000004','FILE',4,'-0000000000000000004','Quarantine','{"host":"pc-000004","user":"ACME\\u4","path":"C:\\temp\\4.exe"}');
INSERT INTO events VALUES(18,2,6,0,7,'agent-00000002-4f1b-8b55-7a3a000000000005','RTF_00000000000000000000000000000005','FILE',5,'-0000000000000000005',NULL,'{"host":"pc-000005","user":"ACME\\u5","path":"C:\\temp\\5.exe"}');
INSERT INTO events VALUES(19,2,7,0,8,'agent-00000003-4f1b-8b55-7a3a000000000006','RTF_00000000000000000000000000000006','FILE',6,'-0000000000000000006','Quarantine','{"host":"pc-000006","user":"ACME\\u6","path":"C:\\temp\\6.exe"}');
INSERT INTO events VALUES(20,2,8,0,9,'agent-00000003-4f1b-8b55-7a3a000000000007','RTF_00000000000000000000000000000007','FILE',7,'-0000000000000000007',NULL,'{"host":"pc-000007","user":"ACME\\u7","path":"C:\\temp\\7.exe"}');
INSERT INTO events VALUES(21,2,9,0,10,'agent-00000004-4f1b-8b55-7a3a000000000008','RTF_00000000000000000000000000000008','FILE',8,'-0000000000000000008','Quarantine','{"host":"pc-000008","user":"ACME\\u8","path":"C:\\temp\\8.exe"}');
INSERT INTO events VALUES(22,2,10,0,11,'agent-00000004-4f1b-8b55-7a3a000000000009','RTF_00000000000000000000000000000009','FILE',9,'-0000000000000000009',NULL,'{"host":"pc-000009","user":"ACME\\u9","path":"C:\\temp\\9.exe"}');
INSERT INTO events VALUES(23,2,11,0,12,'agent-00000005-4f1b-8b55-7a3a000000000010','RTF_00000000000000000000000000000010','FILE',10,'-0000000000000000010','Quarantine','{"host":"pc-000010","user":"ACME\\u10","path":"C:\\temp\\10.exe"}');
INSERT INTO events VALUES(24,2,12,0,13,'agent-00000005-4f1b-8b55-7a3a000000000011','RTF_00000000000000000000000000000011','FILE',11,'-0000000000000000011',NULL,'{"host":"pc-000011","user":"ACME\\u11","path":"C:\\temp\\11.exe"}');
INSERT INTO events VALUES(25,2,13,0,14,'agent-00000006-4f1b-8b55-7a3a000000000012','RTF_00000000000000000000000000000012','FILE',12,'-0000000000000000012','Quarantine','{"host":"pc-000012","user":"ACME\\u12","path":"C:\\temp\\12.exe"}');
INSERT INTO events VALUES(26,2,14,0,15,'agent-00000006-4f1b-8b55-7a3a000000000013','RTF_00000000000000000000000000000013','FILE',13,'-0000000000000000013',NULL,'{"host":"pc-000013","user":"ACME\\u13","path":"C:\\temp\\13.exe"}');
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
INSERT INTO items VALUES(2,0,0,1,0);
INSERT INTO items VALUES(2,1,1,1,1);
INSERT INTO items VALUES(2,2,2,1,2);
INSERT INTO items VALUES(2,3,3,1,3);
INSERT INTO items VALUES(2,4,4,1,4);
INSERT INTO items VALUES(2,5,5,1,5);
INSERT INTO items VALUES(2,6,6,1,6);
INSERT INTO items VALUES(2,7,7,1,7);
INSERT INTO items VALUES(2,8,8,1,8);
INSERT INTO items VALUES(2,9,9,1,9);
INSERT INTO items VALUES(2,10,10,1,10);
INSERT INTO items VALUES(2,11,11,1,11);
INSERT INTO items VALUES(2,12,12,1,12);
INSERT INTO items VALUES(2,13,13,1,13);
CREATE TABLE rows_without_item(
  run INTEGER NOT NULL, n INTEGER NOT NULL, row INTEGER NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL,
  byte INTEGER, reason TEXT NOT NULL, PRIMARY KEY(run, n)) WITHOUT ROWID;
INSERT INTO rows_without_item VALUES(1,0,1,0,2,0,'duplicate of row 0');
INSERT INTO rows_without_item VALUES(1,1,7,0,8,NULL,'duplicate of row 6');
CREATE TABLE facts(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB,
  kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.fact')) VIRTUAL,
  PRIMARY KEY(run, seq)) WITHOUT ROWID;
INSERT INTO facts VALUES(1,1,1790000000000,'{"fact":"started"}',X'42ce8ffe7801b0b80b8401de019cf6110aab67624198b13853d4dcd82292a860');
INSERT INTO facts VALUES(1,2,1790000000001,'{"fact":"submitting","batch":1,"step":1,"event_type":"FILE","items":[0,1,2]}',X'5dc8324877468ef723311a585eef3713205d6259d295c041f5eb7e50001d1816');
INSERT INTO facts VALUES(1,3,1790000000900,'{"fact":"returned","batch":1,"why":"throttled","message":"429 \"slow down\""}',X'2e7ab06622b0852da12c483daaef5dfd39715056ed70429e7e5f88f848b78284');
INSERT INTO facts VALUES(1,4,1790000001000,'{"fact":"submitting","batch":2,"step":1,"event_type":"FILE","items":[0,1,2]}',NULL);
INSERT INTO facts VALUES(1,5,1790000001000,'{"fact":"submitting","batch":3,"step":1,"event_type":"FILE","items":[3,4,5]}',X'010a695486ed620b5fb8ebad6a48c727be6750c6e39ce07a7a957061b5aa594f');
INSERT INTO facts VALUES(1,6,1790000001500,'{"fact":"accepted","batch":2,"ids":["b3c5a1f0-0002-4bbb-8ccc-000000000000","b3c5a1f0-0002-4bbb-8ccc-000000000001","b3c5a1f0-0002-4bbb-8ccc-000000000002"]}',NULL);
INSERT INTO facts VALUES(1,7,1790000001501,'{"fact":"accepted","batch":3,"ids":["b3c5a1f0-0003-4bbb-8ccc-000000000000","b3c5a1f0-0003-4bbb-8ccc-000000000001","b3c5a1f0-0003-4bbb-8ccc-000000000002"]}',X'698509cce053013346b7b6d42047aff5ff016c3a77b8f1092301ee06cf691c7e');
INSERT INTO facts VALUES(1,8,1790000002000,'{"fact":"settled","item":1,"outcome":"succeeded","of":{"batch":2,"index":0},"by":"agent_and_unique_id","status":"success"}',NULL);
INSERT INTO facts VALUES(1,9,1790000002001,'{"fact":"settled","item":0,"outcome":"succeeded","of":{"batch":2,"index":1},"by":"agent_and_unique_id","status":"success"}',NULL);
INSERT INTO facts VALUES(1,10,1790000002002,'{"fact":"settled","item":2,"outcome":"succeeded","of":{"batch":2,"index":2},"by":"agent_and_unique_id","status":"success"}',X'f22caf509f900f0d0385bcc4e1b4619500ed2a0bffe17065b42684822ff002aa');
INSERT INTO facts VALUES(1,11,1790000002500,'{"fact":"submitting","batch":4,"step":1,"event_type":"FILE","items":[6,7,8]}',X'7ae8485f43d9fb1da5556ddca07f468e07129d6bf42396d58b629f2b65ba25e1');
INSERT INTO facts VALUES(1,12,1790000002600,'{"fact":"tallied","gets":3,"throttled":0}',X'79a1b65fdf0006944c0a7caccff16a5627fb28a6763ca2d44748c06a2ea8955f');
INSERT INTO facts VALUES(2,1,1790000000000,'{"fact":"started"}',X'9dcce0e2c94fe1b2a9db877be27674e59c578129d954bbf39476ac20c78fb316');
INSERT INTO facts VALUES(2,2,1790000000001,'{"fact":"submitting","batch":1,"step":1,"event_type":"FILE","items":[0,1,2,3,4,5,6,7,8]}',NULL);
INSERT INTO facts VALUES(2,3,1790000000001,'{"fact":"submitting","batch":2,"step":1,"event_type":"FILE","items":[9]}',NULL);
INSERT INTO facts VALUES(2,4,1790000000001,'{"fact":"submitting","batch":3,"step":1,"event_type":"FILE","items":[10]}',X'5098b06f1801dac62c5fd4dfd8d7805cfa52d9fd6240bb89d3f78779403a133f');
INSERT INTO facts VALUES(2,5,1790000000002,'{"fact":"accepted","batch":1,"ids":["b3c5a1f0-0001-4bbb-8ccc-000000000000","b3c5a1f0-0001-4bbb-8ccc-000000000001","b3c5a1f0-0001-4bbb-8ccc-000000000002","b3c5a1f0-0001-4bbb-8ccc-000000000003","b3c5a1f0-0001-4bbb-8ccc-000000000004","b3c5a1f0-0001-4bbb-8ccc-000000000005","b3c5a1f0-0001-4bbb-8ccc-000000000006","b3c5a1f0-0001-4bbb-8ccc-000000000007","b3c5a1f0-0001-4bbb-8ccc-000000000008"]}',NULL);
INSERT INTO facts VALUES(2,6,1790000000003,'{"fact":"unanswered","batch":2,"message":"closed"}',X'cb7334c2260af240c84102622d55f1fa7e030998053f8b12893d02f8ff4c0ec1');
INSERT INTO facts VALUES(2,7,1790000000003,'{"fact":"rejected","batch":3,"status":400,"message":"no"}',X'5672d684962bd1f4dbb8c0a324c45104d98674cfdb633099561ccf22c22e31b3');
INSERT INTO facts VALUES(2,8,1790000000004,'{"fact":"settled","item":0,"outcome":"succeeded"}',NULL);
INSERT INTO facts VALUES(2,9,1790000000005,'{"fact":"settled","item":1,"outcome":"failed"}',NULL);
INSERT INTO facts VALUES(2,10,1790000000006,'{"fact":"settled","item":2,"outcome":"still_queued"}',NULL);
INSERT INTO facts VALUES(2,11,1790000000007,'{"fact":"settled","item":3,"outcome":"timed_out"}',NULL);
INSERT INTO facts VALUES(2,12,1790000000008,'{"fact":"settled","item":4,"outcome":"unknown"}',NULL);
INSERT INTO facts VALUES(2,13,1790000000009,'{"fact":"settled","item":5,"outcome":"unmatched"}',NULL);
INSERT INTO facts VALUES(2,14,1790000000009,'{"fact":"settled","item":6,"outcome":"unknown"}',NULL);
INSERT INTO facts VALUES(2,15,1790000000009,'{"fact":"settled","item":7,"outcome":"unknown"}',X'a4014d6e07a280136d96dcd687fe5e5e0a3b011fbd6225faa3904d971b71f45b');
INSERT INTO facts VALUES(2,16,1790000000010,'{"fact":"resolved","items":[6],"finding":"carried_out","note":"seen"}',NULL);
INSERT INTO facts VALUES(2,17,1790000000011,'{"fact":"resolved","items":[7],"finding":"not_carried_out","note":"seen"}',X'0f632222ef7916f9742858ec4e6889c028f3c56c7eb5eff5a0d01f4550633807');
INSERT INTO facts VALUES(2,18,1790000000012,'{"fact":"submitting","batch":4,"step":1,"event_type":"FILE","items":[11,12]}',X'0ca259074fe8c2ffd65c3de495f6c62ef4ce1fd4ba500d934552b76545691c32');
INSERT INTO facts VALUES(2,19,1790000000013,'{"fact":"returned","batch":4,"why":"not_sent","message":"refused"}',X'03045f3ebc17a21e9065ede3b1f11e4cc68c66bc6b28a7cbf426e22e91c5fb0f');
INSERT INTO facts VALUES(2,20,1790000000014,'{"fact":"submitting","batch":5,"step":1,"event_type":"FILE","items":[11]}',X'4d19ef5c8294f8fda5a8847afa99bc8216a7b7c5de3fff2520275a98d2b55d6e');
INSERT INTO facts VALUES(2,21,1790000000020,'{"fact":"held","step":1}',NULL);
INSERT INTO facts VALUES(2,22,1790000000021,'{"fact":"released","step":1}',X'819fec08d7f4ff5769ee55c9f579b705883798fe57237d418813568e1713cead');
INSERT INTO facts VALUES(2,23,1790000000022,'{"fact":"stopping","why":"held"}',NULL);
INSERT INTO facts VALUES(2,24,1790000000023,'{"fact":"ended","complete":false}',X'6e15a2f06aaef22ca45dbb739afb79bd94750e57168cc11797b9e5358660aadb');
INSERT INTO facts VALUES(2,25,1790000000024,'{"fact":"resumed","by":"nina","only_polls":true}',NULL);
INSERT INTO facts VALUES(2,26,1790000000024,'{"fact":"ended","complete":false}',X'262c280c7311dfc2d05620ef5e90fc5be1c7068c63f2ba6985210be81465df17');
INSERT INTO facts VALUES(2,27,1790000000025,'{"fact":"resumed"}',X'f1f6c3a4392a58ce202be8f80d73c63edf33a76e6acc8de65d10c090ce1507fe');
INSERT INTO facts VALUES(2,28,1790000000026,'{"fact":"permitted","items":[12],"by":"nina","reason":"seen in the console"}',NULL);
INSERT INTO facts VALUES(2,29,1790000000026,'{"fact":"continued","by":"nina","reason":"seen in the console"}',NULL);
INSERT INTO facts VALUES(2,30,1790000000026,'{"fact":"done_before","items":[12],"run":"contain-0612-7f3","became":"planned"}',X'e741d58f88cba2b915066c3c523c846280c62decf3f15a57688410c412fcaff6');
INSERT INTO facts VALUES(2,31,1790000000027,'{"fact":"resolved","items":[4],"finding":"succeeded","note":"","by":"nina","remediation":"RM-4","status":"Success"}',X'137e8e649d19f472ea8766df1b4b151329927165fe68a659cbcd03229c65b2dc');
INSERT INTO facts VALUES(2,32,1790000000028,'{"fact":"seen","of":{"batch":1,"index":8},"status":"In Progress"}',X'f3b4dc12c0a3d2aee0bf316c74fada3bef89fe6992179cc8e67cec53dbe10b1a');
INSERT INTO facts VALUES(2,33,1790000000029,'{"fact":"paired","of":{"batch":1,"index":8},"item":8,"by":"agent"}',X'11b478e4bfbf30c1aaee84a9971221a3ad46c1166eb99de1d525c8034ba7e3de');
INSERT INTO facts VALUES(2,34,1790000000030,'{"fact":"barred","target":13,"step":0}',NULL);
INSERT INTO facts VALUES(2,35,1790000000031,'{"fact":"tallied","gets":7,"throttled":1}',X'f2d5d3b3a29813a2a6baa20348242f5474f723db3fcd894b217031e75ea044bb');
INSERT INTO facts VALUES(2,36,1790000000032,'{"fact":"stopping","why":"signal"}',NULL);
INSERT INTO facts VALUES(2,37,1790000000032,'{"fact":"stopping","why":"signal_again"}',NULL);
INSERT INTO facts VALUES(2,38,1790000000032,'{"fact":"stopping","why":"unreachable"}',NULL);
INSERT INTO facts VALUES(2,39,1790000000032,'{"fact":"stopping","why":"wrong_place"}',NULL);
INSERT INTO facts VALUES(2,40,1790000000032,'{"fact":"stopping","why":"sign_in"}',NULL);
INSERT INTO facts VALUES(2,41,1790000000032,'{"fact":"stopping","why":"unanswered"}',NULL);
INSERT INTO facts VALUES(2,42,1790000000032,'{"fact":"stopping","why":"held"}',X'21ee159e82bbe4ff4cd2b50040b9e34e03959fdfddfa8bc8fef13832dd420e5a');
CREATE TABLE heads(
  run INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL, host TEXT NOT NULL, acts INTEGER NOT NULL DEFAULT 0, acts_sum BLOB NOT NULL DEFAULT x'', sent INTEGER NOT NULL DEFAULT 0);
INSERT INTO heads VALUES(1,12,X'79a1b65fdf0006944c0a7caccff16a5627fb28a6763ca2d44748c06a2ea8955f','529c9bc0fcca0402',9,X'3556fab87f0d303c2c2ee80f62723f73',4);
INSERT INTO heads VALUES(2,42,X'21ee159e82bbe4ff4cd2b50040b9e34e03959fdfddfa8bc8fef13832dd420e5a','529c9bc0fcca0402',9,X'977da24af4ba5bd7f9abeb9801fd0e97',9);
CREATE TABLE accepted(
  run INTEGER NOT NULL, batch INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(run, batch)) WITHOUT ROWID;
INSERT INTO accepted VALUES(1,2,6);
INSERT INTO accepted VALUES(1,3,7);
INSERT INTO accepted VALUES(2,1,5);
CREATE TABLE acts(
  run INTEGER NOT NULL, item INTEGER NOT NULL, key BLOB NOT NULL, state INTEGER NOT NULL, sent INTEGER NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY(run, item)) WITHOUT ROWID;
INSERT INTO acts VALUES(1,0,X'c7a6eed34f5123dcb8328438f1402958',2,2,1790000002001);
INSERT INTO acts VALUES(1,1,X'c7a6eed34f5123dcb8328438f1402958',2,2,1790000002000);
INSERT INTO acts VALUES(1,2,X'63d5399ef7b9f9e7dacc0f1f768d1fc0',2,2,1790000002002);
INSERT INTO acts VALUES(1,3,X'e0440065bdcd9c6de01197d44eeea72e',1,3,1790000001000);
INSERT INTO acts VALUES(1,4,X'e0440065bdcd9c6de01197d44eeea72e',1,3,1790000001000);
INSERT INTO acts VALUES(1,5,X'a6ad3ff242cd9f0cc5397f4d077cd6b8',1,3,1790000001000);
INSERT INTO acts VALUES(1,6,X'464df6f83efe84c212cba6d9cfd13d01',1,4,1790000002500);
INSERT INTO acts VALUES(1,7,X'464df6f83efe84c212cba6d9cfd13d01',1,4,1790000002500);
INSERT INTO acts VALUES(1,8,X'821debed5a84a0fa0d95a6a0affacb70',1,4,1790000002500);
INSERT INTO acts VALUES(2,0,X'c7a6eed34f5123dcb8328438f1402958',2,5,1790000000004);
INSERT INTO acts VALUES(2,2,X'130ddf04719be927e322b5fb175de838',4,5,1790000000006);
INSERT INTO acts VALUES(2,3,X'32e3163785ba928d5bf0608a1278f501',5,5,1790000000007);
INSERT INTO acts VALUES(2,4,X'0b014a8e2f64ec4a113e0d387d955c98',2,5,1790000000027);
INSERT INTO acts VALUES(2,5,X'56f6140145e259b66933d1a18926cc21',7,5,1790000000009);
INSERT INTO acts VALUES(2,6,X'5742417f81130c75a8aace7d3a837ebb',3,5,1790000000010);
INSERT INTO acts VALUES(2,8,X'e3722b778c20650dcd31770bb0e40a9d',1,5,1790000000001);
INSERT INTO acts VALUES(2,9,X'fc1ee25980724dea44037d61c2cd044e',6,6,1790000000003);
INSERT INTO acts VALUES(2,11,X'68a8c813808a4a42e39c61347d91f21d',1,9,1790000000014);
CREATE TABLE spent(at INTEGER NOT NULL, calls INTEGER NOT NULL, run INTEGER NOT NULL);
CREATE TABLE reserved(run INTEGER PRIMARY KEY, calls INTEGER NOT NULL);
CREATE TABLE budget_clock(boot TEXT NOT NULL, zero INTEGER NOT NULL);
CREATE INDEX spent_by_time ON spent(at);
CREATE VIEW timeline AS
  SELECT r.id AS run, f.seq, strftime('%Y-%m-%dT%H:%M:%fZ', f.at / 1000.0, 'unixepoch') AS at, f.kind, f.body
  FROM facts f JOIN runs r ON r.run = f.run;
CREATE VIEW item_events AS
  SELECT r.id AS run, i.item, json_extract(r.header, '$.steps[' || i.step || '].name') AS step, i.target,
    e.row, e.source, e.line, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id, e.action, e.attributes
  FROM items i JOIN runs r ON r.run = i.run JOIN events e ON e.id = r.first_event + i.event;
CREATE VIEW act_items AS
  SELECT r.id AS run, a.item, CASE a.state WHEN 1 THEN 'open' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'carried_out'
    WHEN 4 THEN 'still_queued' WHEN 5 THEN 'timed_out' WHEN 6 THEN 'unknown' WHEN 7 THEN 'unmatched' END AS state,
    a.sent, strftime('%Y-%m-%dT%H:%M:%fZ', a.at / 1000.0, 'unixepoch') AS at,
    lower(hex(a.key)) AS key, json_extract(r.header, '$.steps[' || i.step || '].action.name') AS action,
    e.row, e.agent_id, e.event_id, e.event_type, e.pid, e.unique_id
  FROM acts a JOIN runs r ON r.run = a.run JOIN items i ON i.run = a.run AND i.item = a.item
    JOIN events e ON e.id = r.first_event + i.event;
PRAGMA application_id = 1903519084;
PRAGMA user_version = 2;
COMMIT;
