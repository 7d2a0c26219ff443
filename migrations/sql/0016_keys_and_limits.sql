-- +goose Up
alter table api_keys
    add column expires_at   timestamptz, -- null: never
    add column last_used_at timestamptz; -- to the minute: most requests write nothing

-- Null: the server's own limit holds.
alter table workspaces
    add column submissions_per_minute int check (submissions_per_minute between 1 and 1000000),
    add column queries_per_minute     int check (queries_per_minute between 1 and 1000000),
    add column queue_depth            int check (queue_depth between 1 and 10000000);

-- To lock its row a tenant must be able to write one column of it; this one grants it nothing.
revoke update on workspaces from millrace_app;
grant update (created_at) on workspaces to millrace_app;

-- +goose Down
revoke update (created_at) on workspaces from millrace_app;
grant update on workspaces to millrace_app;
alter table workspaces drop column queue_depth, drop column queries_per_minute, drop column submissions_per_minute;
alter table api_keys drop column last_used_at, drop column expires_at;
