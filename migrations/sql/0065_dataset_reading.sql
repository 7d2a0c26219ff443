-- +goose Up
-- What a file was taken for, and what is known of the instrument beyond its prices. Zero and the empty
-- text are unknown, as of datasets that were stored before.
alter table datasets
    add column reading jsonb not null default '{}',
    add column periods_per_year float8 not null default 0 check (periods_per_year >= 0),
    add column time_zone text not null default '' check (length(time_zone) <= 60),
    add column session text not null default '' check (length(session) <= 20),
    add column tick_size float8 not null default 0 check (tick_size >= 0),
    add column quantity_step float8 not null default 0 check (quantity_step >= 0),
    add column point_value float8 not null default 0 check (point_value >= 0),
    add column currency text not null default '' check (length(currency) <= 10),
    drop constraint datasets_calendar_check,
    add constraint datasets_calendar_check check (calendar in (252, 260, 365));

-- +goose Down
alter table datasets
    drop constraint datasets_calendar_check,
    drop column reading, drop column periods_per_year, drop column time_zone, drop column session,
    drop column tick_size, drop column quantity_step, drop column point_value, drop column currency;
update datasets set calendar = 252 where calendar = 260;
alter table datasets add constraint datasets_calendar_check check (calendar in (252, 365));
