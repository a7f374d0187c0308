public final class Inbox<T extends Comparable<? super T>> implements Iterable<T> {
    @Override public Iterator<T> iterator() { return new ArrayList<Map.Entry<String, T[]>>().iterator(); }
    /** {@code a < b} &mdash; see <a href="#x">x</a>. <p>The user's room. */
    int shift(int[] user, int i) { return user[i] << 2 >>> 1; }
}
