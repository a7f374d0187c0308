type User<T extends object> = { [K in keyof T]?: T[K] } & { role: "system" | "user" | "assistant" };
export const Room = <P,>({ title, children }: Props<P>) => (
  <section className="room" data-system={title}>
    {children.length > 0 ? <ul>{children.map((c) => <li key={c.id}>{c.text}</li>)}</ul> : <></>}
    <p>&copy; 2026 &lt;ann@example.org&gt;</p>
  </section>
);
const n = a < b && c > d ? users[0] : agents["message"];
