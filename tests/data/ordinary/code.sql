select u.name, count(*) filter (where m.at < now() - interval '1 day' and m.n <> 3) as system
from "user" u join message m on m.[user] = u.id where u.role in ('system', 'assistant') -- <= 3
group by 1 having count(*) >= 2;
