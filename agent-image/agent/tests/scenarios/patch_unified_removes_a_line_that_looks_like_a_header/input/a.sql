-- comment
select 1;
