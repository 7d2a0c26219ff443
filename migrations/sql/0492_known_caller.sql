-- +goose Up
-- A process that has seen a key a moment ago may send what is submitted with it before it has looked the key up, and have the
-- same transaction look whether the key is as it was: that of this workspace, neither revoked nor about to end, of that name and
-- role, used within the minute, so that this use need not be noted, and under these limits. If anything is otherwise, it fails.
-- +goose StatementBegin
create function known_caller(space uuid, caller uuid, digest bytea, of_name text, of_role text, submissions int, queries int, depth int)
returns boolean language plpgsql volatile set plan_cache_mode = force_generic_plan as $$
begin
    perform from api_keys k join workspaces w on w.id = k.workspace_id
      where k.id = caller and k.workspace_id = space and k.key_sha256 = digest and k.name = of_name and k.role = of_role
        and k.revoked_at is null and (k.expires_at is null or k.expires_at >= now() + interval '14 days')
        and k.last_used_at >= now() - interval '1 minute'
        and w.submissions_per_minute is not distinct from submissions and w.queries_per_minute is not distinct from queries
        and w.queue_depth is not distinct from depth;
    if not found then
        raise exception 'the caller is not as it was' using errcode = 'MR005';
    end if;
    return true;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function known_caller;
