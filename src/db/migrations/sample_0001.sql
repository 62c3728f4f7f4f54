-- Rows as version 0.1.0 wrote them; a test takes every later step on them.
INSERT INTO tasks (position, id, status, stage, halted, mode, model, image, source, instruction, limits, summary, failure, usage, steps, diff, created_at, started_at, finished_at) VALUES
(1, '20260101_aaaaaaaaaaaa', 'completed', 'clean_up', 0, 'modify', 'openai/gpt-5', 'atelier-agent:latest', '{"kind":"git","git_url":"https://example.org/team/tool.git","git_ref":"main"}', 'Mend it.', '{"max_steps":100,"max_tokens":4000000,"max_cost_usd":5.0,"setup_timeout_s":600,"task_timeout_s":3600}', 'It is mended.', NULL, '{"input_tokens":1200,"cached_tokens":200,"output_tokens":34,"cost_usd":0.0123}', 2, '{"files":1,"insertions":1,"deletions":1}', '2026-01-01T10:00:00Z', '2026-01-01T10:00:01Z', '2026-01-01T10:01:00Z'),
(2, '20260101_bbbbbbbbbbbb', 'failed', 'agent', 1, 'modify', 'openai/gpt-5', 'atelier-agent:latest', '{"kind":"archive","name":"code.zip","bytes":123}', 'Try it.', '{"max_steps":100,"max_tokens":4000000,"max_cost_usd":5.0,"setup_timeout_s":600,"task_timeout_s":3600}', NULL, '{"kind":"stuck","message":"It went round in circles."}', '{"input_tokens":0,"output_tokens":0,"cost_usd":null}', 0, NULL, '2026-01-01T10:00:02Z', '2026-01-01T10:00:03Z', '2026-01-01T10:00:09Z'),
(3, '20260101_cccccccccccc', 'running', 'agent', 0, 'analyze', 'scripted/leap-year', 'atelier-agent:latest', '{"kind":"archive","name":"code.zip","bytes":123}', 'Why?', '{"max_steps":100,"max_tokens":4000000,"max_cost_usd":5.0,"setup_timeout_s":600,"task_timeout_s":3600}', NULL, NULL, '{"input_tokens":11,"output_tokens":7,"cost_usd":0.0}', 1, NULL, '2026-01-01T10:00:04Z', '2026-01-01T10:00:05Z', NULL),
(4, '20260101_dddddddddddd', 'queued', NULL, 0, 'modify', 'openai/gpt-5', 'atelier-agent:latest', '{"kind":"archive","name":"code.zip","bytes":123}', 'Later.', '{"max_steps":100,"max_tokens":4000000,"max_cost_usd":5.0,"setup_timeout_s":600,"task_timeout_s":3600}', NULL, NULL, '{"input_tokens":0,"output_tokens":0,"cost_usd":null}', 0, NULL, '2026-01-01T10:00:06Z', NULL, NULL);
INSERT INTO events (task_id, seq, at, body) VALUES
('20260101_cccccccccccc', 1, '2026-01-01T10:00:04Z', '{"kind":"status","status":"queued"}'),
('20260101_cccccccccccc', 2, '2026-01-01T10:00:05Z', '{"kind":"stage","stage":"agent"}'),
('20260101_cccccccccccc', 3, '2026-01-01T10:00:06Z', '{"kind":"model_asked","step":1}');
INSERT INTO messages (task_id, position, message) VALUES
('20260101_cccccccccccc', 1, '{"role":"system","text":"You are an engineer."}'),
('20260101_cccccccccccc', 2, '{"role":"assistant","text":"","tool_calls":[{"id":"1","name":"read_file","arguments":{"file_path":"a"}}]}');
INSERT INTO replies (task_id, seq, reply) VALUES
('20260101_cccccccccccc', 0, '{"event":"tool_call","name":"read_file","arguments":{"file_path":"a"}}');
INSERT INTO sessions (token_hash, created_at, expires_at) VALUES (x'00', '2026-01-01T10:00:00Z', '2126-01-01T10:00:00Z');
