-- +goose Up
-- The compressor of Postgres finds nothing in the equity curve of a walk-forward that trades, nor in the numbers of its bars: it took
-- three quarters of the time of their write and left as many bytes. Curves that are stored stay as they are.
alter table wfo_runs
    alter column curve_bars set storage external, alter column curve_equity set storage external,
    alter column together_at set storage external, alter column together_equity set storage external;

-- +goose Down
alter table wfo_runs
    alter column curve_bars set storage extended, alter column curve_equity set storage extended,
    alter column together_at set storage extended, alter column together_equity set storage extended;
