-- +goose Up
-- Processes keep the words of a workspace's chunks in memory and rank them there. The version says that
-- documents have come, changed or gone. The trigger is deferred, so that the row is locked only while
-- a transaction commits; it is a trigger, so that servers of the version before raise it too.
create table text_versions (
    workspace_id uuid primary key references workspaces on delete cascade,
    version      bigint not null default 1
) with (fillfactor = 50);
alter table text_versions enable row level security, force row level security;
create policy tenant on text_versions to millrace_app using (workspace_id = millrace_workspace());
create policy fleet on text_versions to millrace_fleet using (true) with check (true);
grant select, insert, update, delete on text_versions to millrace_app, millrace_fleet;

insert into text_versions (workspace_id) select distinct workspace_id from documents where revision > 0;

-- A workspace that is deleted takes its documents along, and has no version to raise.
-- +goose StatementBegin
create function raise_text_version() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
    insert into text_versions as v (workspace_id)
    select id from workspaces where id = coalesce(new.workspace_id, old.workspace_id)
    on conflict (workspace_id) do update set version = v.version + 1;
    return null;
end
$$;
-- +goose StatementEnd
create constraint trigger text_version_insert after insert on documents deferrable initially deferred
    for each row when (new.revision > 0) execute function raise_text_version();
create constraint trigger text_version_update after update on documents deferrable initially deferred
    for each row when (new.revision <> old.revision) execute function raise_text_version();
create constraint trigger text_version_delete after delete on documents deferrable initially deferred
    for each row when (old.revision > 0) execute function raise_text_version();

-- The index chunks_search_workspace is for servers of the version before; the next version may drop it.

-- +goose Down
drop trigger text_version_delete on documents;
drop trigger text_version_update on documents;
drop trigger text_version_insert on documents;
drop function raise_text_version();
drop table text_versions;
